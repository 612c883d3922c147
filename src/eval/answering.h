// SPDX-License-Identifier: Apache-2.0
// Answers of a subject to questions, of one turn or several, each logged as it
// comes: what there is already is not asked again.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "eval/tasks.h"

namespace selfalign::eval {

struct Conversation {
  std::string id;
  std::string group;               // category, may be empty
  std::vector<std::string> turns;  // of the user, at least one
};

struct AnsweringOptions {
  std::string task;
  std::string version;
  uint64_t seed = 0;  // of the draws
  DecodingOptions decoding;
  // What the task publishes of the sampling; what is given beats it. Optional.
  std::function<recipe::GivenSampling(const Conversation&)> published;
  // Adds to an item before it is logged, "scores" for one. Optional.
  std::function<void(const Conversation&, Json& item)> finish;
};

// For a result's settings: "decoding", one or own, and "sampling", the one of
// all conversations; "by category" stands where they differ.
Json decoding_settings(const std::vector<Conversation>& conversations,
                       const Subject& subject, const AnsweringOptions& options);

// The items, in order, each {"id", "group", "question", "answer", "tokens",
// "prompt_tokens", "finish"} ("tokens_estimated" where a server did not count
// them), with several turns "turns" and "answers" in place of question and
// answer, and lists of the others. A turn is asked once the ones before
// it are answered; an item is logged when all are. Error kInterrupted.
std::vector<Json> answer_conversations(
    const std::vector<Conversation>& conversations, const Subject& subject,
    ItemLog& log, const AnsweringOptions& options);

}  // namespace selfalign::eval
