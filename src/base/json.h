// SPDX-License-Identifier: Apache-2.0
// JSON from outside, checked: every getter names the place it looked at.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/json_value.h"

namespace selfalign {

// Parses one JSON value in time linear in the text. `where` names the source in
// the Error (kInput), which also gives line and column. Refused are a depth
// over 64, more than kMaxJsonValues values, and two members of one name.
Json parse_json(std::string_view text, const std::string& where);

// The same into sorted objects. Json keeps the order of members and so looks a
// name up one by one: use this for an object of thousands (a vocabulary).
nlohmann::json parse_json_sorted(std::string_view text,
                                 const std::string& where,
                                 size_t max_values = kMaxJsonValues);

// Member `name` of object `object`, null where there is none; Error kInput
// where it is no object.
const Json* json_member(const Json& object, const std::string& name,
                        const std::string& where);

// The value found under `name`, null where nothing is; Error kInput if it is
// missing or of another type.
void read_json(const Json* found, const std::string& name,
               const std::string& where, std::string& value);
void read_json(const Json* found, const std::string& name,
               const std::string& where, int64_t& value);
void read_json(const Json* found, const std::string& name,
               const std::string& where, double& value);
void read_json(const Json* found, const std::string& name,
               const std::string& where, bool& value);
// That Error: `expected` is "a list".
[[noreturn]] void throw_json_type(const Json* found, const std::string& name,
                                  const std::string& where,
                                  const char* expected);

// Member `name` of object `object`; Error kInput if missing or of another
// type. The `_or` forms return `fallback` when the member is missing or null.
std::string json_string(const Json& object, const std::string& name,
                        const std::string& where);
int64_t json_int(const Json& object, const std::string& name,
                 const std::string& where);
// The same from `low` to `high`, both included.
int64_t json_int_in(const Json& object, const std::string& name,
                    const std::string& where, int64_t low, int64_t high);
double json_number(const Json& object, const std::string& name,
                   const std::string& where);
bool json_bool(const Json& object, const std::string& name,
               const std::string& where);
std::string json_string_or(const Json& object, const std::string& name,
                           const std::string& where,
                           const std::string& fallback);
int64_t json_int_or(const Json& object, const std::string& name,
                    const std::string& where, int64_t fallback);
double json_number_or(const Json& object, const std::string& name,
                      const std::string& where, double fallback);
bool json_bool_or(const Json& object, const std::string& name,
                  const std::string& where, bool fallback);

// One line, UTF-8; bytes that are not UTF-8 become U+FFFD.
std::string dump_json(const Json& value);

}  // namespace selfalign
