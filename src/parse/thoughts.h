// SPDX-License-Identifier: Apache-2.0
// Reading a principle-driven answer: the internal thoughts and the answer after
// them (paper: section 3.2; the form is described in prompts/align.yaml).
#pragma once

#include <string>
#include <vector>

namespace selfalign::parse {

struct ThoughtfulAnswer {
  std::string thought;      // trimmed; may be empty
  std::string answer;       // trimmed; empty without an answer tag
  bool has_answer = false;  // a line started with the answer tag
  bool closed = false;      // a line with a tag followed the answer
};
// `text` goes on right after the thought tag. The thought ends at the first
// line that starts with `answer_tag`, the answer at the next line that starts
// with one of `tags`.
ThoughtfulAnswer split_thought(const std::string& text,
                               const std::string& answer_tag,
                               const std::vector<std::string>& tags);

std::string trim(const std::string& text);

}  // namespace selfalign::parse
