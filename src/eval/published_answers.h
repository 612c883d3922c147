// SPDX-License-Identifier: Apache-2.0
// Answers that others published for a set of questions: a subject without a
// model, put before the same judges (the paper's Text-Davinci-003, ChatGPT,
// GPT-4 and Vicuna of Figure 5).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "eval/answering.h"

namespace selfalign::eval {

struct PublishedAnswers {
  std::string path;
  std::string model;   // as the file names it, "" if it does not
  std::string digest;  // of the file
  std::map<std::string, std::vector<std::string>> turns;  // by question's id
};

// JSON in any layout of base/json_rows.h, either as FastChat writes it,
// {"question_id", "model_id", "choices": [{"turns"}]}, of which the first
// choice is taken, or as Vicuna's first questions were, {"question_id", "text",
// "model_id"}. Another row, and a question's second answer, is left out with a
// warning (base/row_faults.h); Error kInput of a file without an answer, or
// with those of two models.
PublishedAnswers read_published_answers(const std::string& path);

// How answers and questions fit together.
struct MatchedAnswers {
  std::vector<Json> items;  // as answer_conversations makes them, without
                            // tokens and finish, which nobody knows
  int64_t num_missing = 0;  // questions without an answer to each turn
  int64_t num_unknown = 0;  // answers to none of `all_ids`
};
// Whether any of `conversations` has an answer to each of its turns.
bool has_answers(const PublishedAnswers& published,
                 const std::vector<Conversation>& conversations);
// Those of `conversations`; logged.
MatchedAnswers match_answers(const PublishedAnswers& published,
                             const std::vector<Conversation>& conversations,
                             const std::vector<std::string>& all_ids,
                             ItemLog& log, const AnsweringOptions& options);

// The text that names a question: a whole number or a text under
// "question_id". Error kInput names `where`.
std::string question_id(const Json& row, const std::string& where);

}  // namespace selfalign::eval
