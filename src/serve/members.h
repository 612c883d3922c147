// SPDX-License-Identifier: Apache-2.0
// The members of a request's JSON object, taken one by one; what is left at the
// end was not understood.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/ranges.h"
#include "serve/api_error.h"

namespace selfalign::serve {

// Sorted objects: Json looks a name up one by one, so that an object of very
// many members would keep a thread busy for minutes.
using Value = nlohmann::json;

class Members {
 public:
  // Parses; ApiError 400 unless `body` is a JSON object.
  explicit Members(std::string_view body);

  // Null counts as absent. Each throws ApiError 400 for another type or a value
  // out of range.
  const Value* take(const std::string& name);
  std::optional<std::string> take_string(const std::string& name);
  std::optional<bool> take_bool(const std::string& name);
  std::optional<int64_t> take_int(const std::string& name, int64_t low,
                                  int64_t high);
  // Of all 64 bits; a negative one is that of the same bits, 2^64 more.
  std::optional<uint64_t> take_seed(const std::string& name);
  std::optional<double> take_number(const std::string& name,
                                    const Range<double>& range);

  // Of any members, which change nothing.
  void take_object(const std::string& name);

  // Refuses a member that is there with a value other than `neutral` values,
  // those with which it changes nothing. Members of an object that are null
  // count as absent, too.
  void take_neutral(const std::string& name, const std::vector<Value>& neutral);

  // ApiError for the first member that was not taken and is not null.
  void expect_empty() const;

 private:
  Value object_;
  std::set<std::string> taken_;
};

// ApiError 400, "NAME: expected ..., found ...".
[[noreturn]] void refuse(const std::string& name, const std::string& expected,
                         const std::string& found);
// A value in an error's text: shortened, one line.
std::string shown(const Value& value);

}  // namespace selfalign::serve
