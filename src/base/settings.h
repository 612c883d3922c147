// SPDX-License-Identifier: Apache-2.0
// How a struct of settings describes itself, once and where it is declared:
//
//   struct RefillOptions {
//     int max_requests = 1000;
//
//     static void describe(auto& visit, auto& refill) {
//       visit({"max_requests", "Requests for questions, in all."},
//             refill.max_requests, Range<int>{1, 1000});
//     }
//   };
//
// A visitor makes of it what it is for: it reads a file
// (recipe/recipe_file.cc), writes one (recipe/recipe_text.cc), declares flags
// (cli/setting_flags.h), or writes the reference and the schema
// (recipe/recipe_reference.cc). It has
//
//   visit(setting, value, limits)   one value; limits as below
//   visit.group(setting, options)   a struct within, which describes itself
//   visit.follows(a, b)             a file that is silent on `a` means `b`
//   visit.shows(is_used)            whether to go into what has no use here
//   visit.later(is_other)           the same of what came after runs had been
//                                   made, which is other than its default
//
// The struct is const for those that only read it.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/joined.h"
#include "base/ranges.h"

namespace selfalign {

struct Setting {
  const char* key;        // in a file; as a flag --with-dashes
  const char* help;       // one sentence
  const char* unit = "";  // of a number
  const char* flag = "";  // where it is not the key: "--a,--b"
};

// Limits of a value; a number has a Range.
struct AnyText {};
struct AnyValue {};  // true or false, or 64 bits of a seed
struct OnePath {};   // of a file or folder, "~" included
struct Paths {};     // one, or a list
struct OneOf {
  std::vector<std::string> names;
};
struct Numbers {  // a list
  Range<double> range;
  size_t most;
};
struct SomeOf {  // one, or a list
  std::vector<std::string> names;
};
template <typename Number>
struct NumberOf {  // a number for some of the names
  std::vector<std::string> names;
  Range<Number> range;
};

// A visitor that throws Error kUsage, which begins with `what`, for the first
// number out of its range.
class RangeCheck {
 public:
  explicit RangeCheck(std::string what) : what_(std::move(what)) {}

  template <typename Number>
  void operator()(const Setting& of, Number value, const Range<Number>& range) {
    if (range.holds(value)) return;
    throw Error(ErrorKind::kUsage,
                str(what_, ": expected ", of.key, " from ", range.low, " to ",
                    range.high, ", found ", value, "; change it"));
  }
  void operator()(const Setting& of, const std::vector<double>& values,
                  const Numbers& limits) {
    if (values.size() > limits.most) {
      throw Error(ErrorKind::kUsage,
                  str(what_, ": expected ", of.key, " of at most ", limits.most,
                      " numbers, found ", values.size(), "; change it"));
    }
    for (const double value : values) (*this)(of, value, limits.range);
  }
  template <typename Number>
  void operator()(const Setting& of, const std::map<std::string, Number>& value,
                  const NumberOf<Number>& limits) {
    for (const auto& [name, number] : value) {
      need_name(of, name, limits.names);
      (*this)(of, number, limits.range);
    }
  }
  void operator()(const Setting& of, const std::vector<std::string>& value,
                  const SomeOf& limits) {
    for (const std::string& name : value) need_name(of, name, limits.names);
  }
  void operator()(const Setting& of, const std::string& value,
                  const OneOf& limits) {
    need_name(of, value, limits.names);
  }
  template <typename Value>
  void operator()(const Setting&, const Value&, AnyValue) {}
  bool later(bool) { return true; }

 private:
  void need_name(const Setting& of, const std::string& name,
                 const std::vector<std::string>& names) {
    if (std::find(names.begin(), names.end(), name) != names.end()) return;
    throw Error(ErrorKind::kUsage,
                str(what_, ": expected ", of.key, " among ", joined(names),
                    ", found ", name, "; change it"));
  }

  std::string what_;
};

}  // namespace selfalign
