// SPDX-License-Identifier: Apache-2.0
// Members of a row of a data set: by any of their names, and why a row cannot
// be used.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>

#include "base/json.h"

namespace selfalign::formats {

using Names = std::initializer_list<const char*>;

// Thrown where a row cannot be used; formats::DatasetRow has the reasons.
struct Refusal {
  const char* reason;
  std::string detail;
};
[[noreturn]] void unreadable(const std::string& detail);
[[noreturn]] void unsupported(const std::string& detail);

// A value for a message: its text, or of a long one its type.
std::string shown(const Json& value);

// False where nothing is said: null, a text without a character that can be
// seen, [], {}, or "[]" as some tables have it.
bool says_something(const Json& value);

struct Member {
  const char* name = nullptr;
  const Json* value = nullptr;
  explicit operator bool() const { return value != nullptr; }
};
// Of `names`, which all name one thing, the first that says something, else the
// first that is there and not null. Refuses two that say different things.
Member find_member(const Json& object, Names names);

// True if one of them is there, null or not.
bool has_any(const Json& object, Names names);

// "" where there is none.
std::string text_of(const Member& member);
// Text, or a list of parts that are all text.
std::string content_of(const Member& member);

// 0 or 1, true or false; none where it is not said.
std::optional<bool> flag_of(const Json& object, const char* name);

// Refuses the object if one of `names` says something else than false.
void refuse_parts(const Json& object, Names names);

// "'a', 'b' or 'c'".
std::string list_of(Names names);

}  // namespace selfalign::formats
