// SPDX-License-Identifier: Apache-2.0
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
// too_long over 256 (of a server's model a token for every three bytes),
// duplicate for equal texts. Rows that cannot be read are rejected for the
// reasons of formats::DatasetRow. kept_instructions() gives those kept.
void take_instructions(const Run& run);

// Rows of the file that can be read, of those that the stages take: before a
// run has judged them, what it can be expected to use. 0 without a file; Errors
// as those who read it throw them.
int64_t count_instructions(const recipe::GivenData& given);
int64_t count_conversations(const recipe::GivenData& given);

// Error kUsage where rows of the run are of a given file, and the file that the
// recipe names now has other content. It may be gone once its rows are there.
void check_given(const recipe::Recipe& recipe, const store::Reader& store);

// Stage given.conversations: rows hold "messages", a list of role and content,
// with "learn" false for an answer that is only read; empty where the row could
// not be read. Rejected for the reasons of formats::DatasetRow and of
// find_exchanges, and as kTooLong. Error kInput where all rows are; nothing is
// kept then.
void take_conversations(const Run& run);

}  // namespace selfalign::stages
