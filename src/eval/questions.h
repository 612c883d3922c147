// SPDX-License-Identifier: Apache-2.0
// The open questions that a judge is shown the answers of: the 80 of Vicuna and
// the 80 of MT-bench, these with a second turn. What is measured here is form
// alone: length, ending, repetition; judging is a step of its own (judging.h).
#pragma once

#include <string>
#include <vector>

#include "eval/answering.h"
#include "eval/tasks.h"

namespace selfalign::eval {

struct OpenQuestion {
  Conversation conversation;
  std::vector<std::string>
      reference;  // one per turn, "" for none; may be empty
};

// question.jsonl as published: objects, in any layout of base/json_rows.h, with
// "question_id", "category", "turns" and perhaps "reference". A
// reference_answer/*.jsonl beside it ("question_id", "choices": [{"turns"}])
// comes before those; the first file by name counts. Rows that are none of
// those, and ids that come again, are left out with a warning
// (base/row_faults); Error kInput of a file without a question.
std::vector<OpenQuestion> read_open_questions(const std::string& path);

// Published settings: at most 1,024 tokens an answer; Vicuna's questions at the
// subject's temperature, which is that of all, MT-bench's at one for each
// category: 0.7 writing, roleplay and others, 0.1 stem and humanities, 0
// (greedy) extraction, math, coding and reasoning.
TaskResult run_vicuna(const Subject& subject, ItemLog& log,
                      const TaskOptions& options);
void check_vicuna(const TaskOptions& options);
bool vicuna_answered(const TaskOptions& options,
                     const PublishedAnswers& answers);
TaskResult run_mt_bench(const Subject& subject, ItemLog& log,
                        const TaskOptions& options);
void check_mt_bench(const TaskOptions& options);
bool mt_bench_answered(const TaskOptions& options,
                       const PublishedAnswers& answers);

// Any other file of such questions as a task, asked as Vicuna's. Error kInput
// for a file that cannot be read.
Task open_task(const std::string& name, const std::string& path);

// True of a result of such questions, whose answers a judge may compare.
bool has_open_questions(const TaskResult& result);

}  // namespace selfalign::eval
