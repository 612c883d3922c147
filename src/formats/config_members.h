// SPDX-License-Identifier: Apache-2.0
// The members of config.json, each read with its type; what is wrong is an
// Error kInput that names file and member.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "base/shown.h"

namespace selfalign::formats {

// The members of an object that are not null: a null means the same as a
// missing member, but where a family says otherwise.
class Members {
 public:
  Members(const Json& object, std::string where)
      : all_(object), where_(std::move(where)) {
    Json::object_t kept;
    for (const auto& [name, value] : object.items()) {
      // At the end, not in its place, which is looked for: no name stands
      // twice.
      if (!value.is_null()) kept.emplace_back(name, value);
    }
    set_ = std::move(kept);
  }

  const std::string& where() const { return where_; }
  const Json& json() const { return set_; }
  bool has(const char* name) const { return set_.contains(name); }
  bool is_null(const char* name) const {
    return all_.contains(name) && !has(name);
  }
  std::string text(const char* name) const {
    return json_string(set_, name, where_);
  }
  std::string text_or(const char* name, const std::string& other) const {
    return json_string_or(set_, name, where_, other);
  }
  int64_t integer(const char* name) const {
    return json_int(set_, name, where_);
  }
  int64_t integer_or(const char* name, int64_t other) const {
    return json_int_or(set_, name, where_, other);
  }
  double number(const char* name) const {
    return json_number(set_, name, where_);
  }
  double number_or(const char* name, double other) const {
    return json_number_or(set_, name, where_, other);
  }
  bool flag_or(const char* name, bool other) const {
    return json_bool_or(set_, name, where_, other);
  }
  std::vector<double> numbers(const char* name) const {
    const Json& list = this->list(name);
    std::vector<double> numbers;
    numbers.reserve(list.size());
    for (const Json& value : list) {
      if (!value.is_number()) {
        refuse(
            str(name, ": expected numbers, found ", shown(dump_json(value))));
      }
      numbers.push_back(value.get<double>());
    }
    return numbers;
  }
  const Json& list(const char* name) const {
    const auto found = set_.find(name);
    if (found == set_.end() || !found->is_array()) {
      refuse(str(name, ": expected a list, found ",
                 found == set_.end() ? "nothing" : shown(dump_json(*found))));
    }
    return *found;
  }

  [[noreturn]] void refuse(const std::string& text) const {
    throw Error(ErrorKind::kInput, where_ + ": " + text);
  }

 private:
  const Json& all_;
  Json set_ = Json::object();
  std::string where_;
};

}  // namespace selfalign::formats
