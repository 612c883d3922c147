// Why a row is kept or rejected (default profile). Filters annotate: nothing
// is deleted, every rejection has a short fixed word and a detail for the
// person. A change of what they decide gives them a new version in the name.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "generate/generator.h"

namespace selfalign::stages {

constexpr char kInstructFilter[] = "instruct.default.2";
constexpr char kTopicFilter[] = "topics.default.1";
constexpr char kAlignFilter[] = "align.default.2";
constexpr char kVerboseFilter[] = "verbose.default.2";

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

struct AnswerContext {
  const std::string& instruction;
  const std::vector<std::string>& exemplars;  // answers shown in the prompt
  // Text that only the prompt's frame has: tags of turns, "internal thoughts".
  const std::vector<std::string>& frame;
};
// An answer. An answer that was cut off by length is kept: what it says is
// good to learn from, only its end is not (TrainingSample::ends).
//   no_room    the prompt left no room      no_answer  nothing there
//   garbled, repetition                     as above
//   leaks_prompt        shows the frame or names the rules
//   copies_exemplar     ROUGE-L > 0.7 with an answer of the prompt
//   copies_instruction  ROUGE-L > 0.8 with the instruction, over 4 words
Judgement judge_answer(const std::string& answer, generate::Finish finish,
                       const AnswerContext& context);

}  // namespace selfalign::stages
