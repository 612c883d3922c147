// SPDX-License-Identifier: Apache-2.0
// Files of many JSON values, as people have them: one array, JSON lines, or
// values printed over several lines, one after another.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"

namespace selfalign {

struct JsonRow {
  std::string where;  // "PATH: line 3", "PATH: row 2" of an array, or where
                      // it is no JSON the place of that: "PATH:3:7"
  std::optional<Json> value;  // none where it is no JSON
  std::string problem;        // then why: "expected JSON, found ..."

  // The value, or the problem as an Error kInput.
  const Json& get() const;
};

// Calls `take` for every value in order. A byte order mark, any line breaks
// and commas between values are passed over. An object that cannot be read ends
// with its bracket; one without, and what is no object, before the next line
// that begins with "{"; an element of an array with the comma behind it. Errors
// (kInput) of the whole text: a NUL byte anywhere, an array whose brackets do
// not close or that has a comma too many.
void each_json_row(std::string_view text, const std::string& path,
                   const std::function<void(const JsonRow& row)>& take);

}  // namespace selfalign
