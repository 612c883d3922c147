// Reading a principle-driven answer: the internal thoughts, the rules they
// name, and the answer after them (paper: section 3.2; the form is described
// in prompts/align.yaml).
#pragma once

#include <string>
#include <vector>

namespace selfalign::stages {

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

struct FiredRules {
  std::vector<int> rules;  // numbers from 1, in the order named, each once
  // Numbers that are not the name's, and in a sentence about "rules" numbers
  // without a name or with an unknown one.
  int num_malformed = 0;
};
// Every "3 (helpful)" of a thought. The name decides which principle fired: a
// small model often writes a right name with a wrong number. `names` are the
// principles in order; spaces, case and hyphens in a name do not matter.
FiredRules find_rules(const std::string& thought,
                      const std::vector<std::string>& names);

std::string trim(const std::string& text);

}  // namespace selfalign::stages
