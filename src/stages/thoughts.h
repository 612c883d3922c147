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
};
// `text` goes on right after the thought tag.
ThoughtfulAnswer split_thought(const std::string& text,
                               const std::string& answer_tag);

struct FiredRules {
  std::vector<int> rules;  // numbers from 1, in the order named, each once
  int num_malformed = 0;   // numbers without a name or with another one's
};
// The rules named after the word "rule" or "rules" up to the end of that
// sentence, as "3 (helpful), 7 (candor)"; `names` are the principles in order.
// Spaces, case and hyphens in a name do not matter.
FiredRules find_rules(const std::string& thought,
                      const std::vector<std::string>& names);

std::string trim(const std::string& text);

}  // namespace selfalign::stages
