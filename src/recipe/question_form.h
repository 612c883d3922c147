// SPDX-License-Identifier: Apache-2.0
// How a request for red-team questions looks, and how what the model makes of
// it is read (prompts/red_team.yaml). One hint: the examples, then the hint, of
// which the model goes on with the line. Several, as the published script asks:
// the types and topics of the examples and of the hints as one numbered list,
// then the examples in full, and the model goes on with the lines of the hints.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "parse/lists.h"
#include "recipe/prompts.h"

namespace selfalign::recipe {

// A seed question; as a hint without the question.
struct TypedQuestion {
  std::string type;
  std::string topic;
  std::string question;
};

class QuestionForm {
 public:
  // `prompt` outlives this; at least one hint. Error kUsage in what follows if
  // there are several and red_team.yaml has no list_prompt.
  QuestionForm(const RedTeamPrompt& prompt, std::vector<TypedQuestion> examples,
               std::vector<TypedQuestion> hints);

  // What the request asks.
  std::string suffix() const;
  // How many bytes of that stand before the last hint: the same for all hints
  // beside the same examples.
  size_t num_shared() const;
  // The templates that suffix() fills, for the key.
  std::string templates() const;
  // Where the model has written all that was asked for.
  std::vector<std::string> stop() const;

  // The questions of a completion, with `cut_off` one that ended by length. One
  // hint: its first line, whatever it is. Several: every line that begins with
  // the number, type and topic of one that was shown, in whatever order and
  // number; so a hint may get no question, or more than one, and an example one
  // of its own. The question is what follows the mark before it
  // (ListedLine); its type and topic are those of the line shown.
  std::vector<parse::ListedQuestion> read(const std::string& text,
                                          bool cut_off) const;

 private:
  bool is_list() const { return lines_.size() > num_examples_ + 1; }
  std::string examples() const;
  std::string hint(size_t i, const std::string& form) const;
  // Number, type and topic of every line: of examples, then of hints.
  std::vector<std::string> starts() const;
  // What stands before the question in an example: "instruction:".
  std::string mark() const;

  const RedTeamPrompt& prompt_;
  size_t num_examples_;
  std::vector<TypedQuestion> lines_;  // examples, then hints
};

}  // namespace selfalign::recipe
