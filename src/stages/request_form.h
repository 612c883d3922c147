// SPDX-License-Identifier: Apache-2.0
// Whether an instruction has the form of a request, for models that often write
// something else (instruct.strict_form).
#pragma once

#include <optional>
#include <string>

namespace selfalign::stages {

// What is wrong with the form of `instruction`, for the person; none: nothing.
//   neither a question nor an order, by its first words and question marks
//   quotes or brackets that do not close, a space before a question mark, an
//   end on an article or a conjunction
//   three words in a row said twice in a request of one line
//   words that point to a text ("the following", "this sentence") where none
//   is given: no further line, no colon, no quotes
//   a question about what the assistant has lived ("have you ever"), unless
//   `red_team`
//   an act in the world as first word ("build", "buy"), unless `red_team`
std::optional<std::string> wrong_form(const std::string& instruction,
                                      bool red_team);

}  // namespace selfalign::stages
