// SPDX-License-Identifier: Apache-2.0
// Why a row is kept or rejected (default profile; paper_filters.h has the
// published ones). Filters annotate: nothing is deleted, every rejection has a
// short fixed word and a detail for the person. A change of what they decide
// gives them a new version in the name (profile.cc).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "generate/generator.h"

namespace selfalign::parse {

struct Rejection {
  std::string reason;
  std::string detail;
};
using Judgement = std::optional<Rejection>;  // none: kept

// A new instruction, before the search for duplicates. `red_team`: questions
// that a text model cannot answer are what is wanted.
//   malformed  does not start with a letter, digit or quote, or repeats marks
//              of the prompt
//   too_short  under 3 words          too_long  over 150 words
//   garbled    replacement or control characters, few letters
//   not_english  other scripts, or 8 words without a common English one
//   repetition   goes round in circles (repetition.h)
//   placeholder  "[name]", "<...>", "____" instead of content
//   not_text   needs eyes, ears, files or an act in the world
Judgement judge_instruction(const std::string& instruction, bool red_team);

// A topic: too_long (over 5 words), too_short (no letter), not_english,
// garbled. Duplicates within the type are the caller's.
Judgement judge_topic(const std::string& topic);

// What the prompt of an answer looks like.
struct AnswerFrame {
  std::string assistant{};   // its name
  std::string answer_tag{};  // starts the answer's line; "": all is answer
  std::string user_tag{};    // starts the next turn's line
  // A line that starts with one of these ends the answer.
  std::vector<std::string> turn_tags{};
  std::vector<std::string> exemplars{};  // answers shown in the prompt
  // Text that only the frame has: tags of turns, "internal thoughts".
  std::vector<std::string> marks{};
  std::string opening{};  // words that every shown thought begins with
  std::string prompt{};   // what stands before the instruction
  bool has_stop = false;  // generation stopped at the tags
};

// A completion, and what a filter reads out of it.
struct RawAnswer {
  const std::string& instruction;
  const std::string& text;
  generate::Finish finish;
};
struct ReadAnswer {
  std::string thought;
  std::string answer;  // as it is to be learned from
  bool ends = false;   // the answer came to its end: it teaches a stop
  Judgement judgement;
};

// Reads the answer and judges it. An answer that was cut off by length is
// kept: what it says is good to learn from, only its end is not.
ReadAnswer read_answer(const RawAnswer& raw, const AnswerFrame& frame);

// The verdict on a parsed answer.
//   no_thought   an answer without a thought before it
//   no_room    the prompt left no room      no_answer  nothing there
//   garbled, repetition                     as above
//   leaks_prompt        shows the frame or names the rules
//   copies_exemplar     ROUGE-L > 0.7 with an answer of the prompt, or a
//                       sentence of one (sentences.h)
//   announces_only      says that an answer comes, and none does
//   copies_instruction  ROUGE-L > 0.8 with the instruction, over 4 words; or
//                       nothing but its words (subject.h)
Judgement judge_answer(const std::string& answer, const RawAnswer& raw,
                       const AnswerFrame& frame);

}  // namespace selfalign::parse
