// SPDX-License-Identifier: Apache-2.0
// The one JSON parser, for callers that go on where a text is no JSON. Refused,
// too: nesting over 64 deep, numbers that a double cannot hold, a member that
// an object has already, of which one would be lost, and NUL bytes anywhere, at
// which a parser of C strings would stop without a word.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/json_value.h"

namespace selfalign {

// Why a text is no JSON, "expected ..., found ...", and where, from 1.
struct JsonProblem {
  size_t line = 1;
  size_t column = 1;
  std::string text;
  std::string found;  // alone, for callers with advice of their own
};

// The value that is the whole of `text`; none, and the problem, where it is no
// JSON.
std::optional<Json> try_parse_json(std::string_view text, JsonProblem& problem);
// The same with sorted objects, as parse_json_sorted.
std::optional<nlohmann::json> try_parse_json_sorted(std::string_view text,
                                                    size_t max_values,
                                                    JsonProblem& problem);

// One line of a file: `where` names the line, and the Error (kInput) adds the
// column to it.
Json parse_json_line(std::string_view line, const std::string& where);

}  // namespace selfalign
