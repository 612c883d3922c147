// Data that a person gives in place of what the stages make: prompts instead of
// stage 1 (Dromedary-2 takes the open prompts of other data sets) and
// conversations to tune a baseline on. All rows of the file are kept as they
// are; verdicts say which are used. The run keeps to the file it was begun
// with.
#pragma once

#include "stages/run.h"

namespace selfalign::stages {

constexpr char kGivenInstructions[] = "given.instructions";
constexpr char kGivenConversations[] = "given.conversations";
constexpr char kConversationFilter[] = "conversations.default.1";

// Stage given.instructions. Profile default: the verdicts of judge_instruction,
// and "duplicate" by ROUGE-L against those kept before and the held-out ones.
// Profiles paper and paper2 (Dromedary-2's cleaning): too_short under 2 tokens,
// too_long over 256, duplicate for equal texts. kept_instructions() gives those
// kept.
void take_instructions(const Run& run);

// Stage given.conversations: rows hold "messages", a list of role and content.
//   out_of_turn  user and assistant do not take turns, or a system turn is not
//                the first (an assistant's turn before the first user's and a
//                user's last turn without an answer are allowed, and not used)
//   no_answer    no answered turn is left, or one is empty
void take_conversations(const Run& run);

}  // namespace selfalign::stages
