// SPDX-License-Identifier: Apache-2.0
// Evaluation sets in the forms they are published in: what is asked and what
// is answered there, so that a training set can be kept free of both.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace selfalign::formats {

struct EvaluationItem {
  std::string id;                      // unique in most sets: "17", "81"
  std::vector<std::string> questions;  // at least one; further turns
  std::vector<std::string> answers;    // given for choice or reference
};

struct EvaluationSet {
  std::string name;  // the file's name, with its folder's if that is generic
  std::vector<EvaluationItem> items;
};

// Recognised by content:
//   CSV with a header that has a column "Question" (TruthfulQA); "Best Answer",
//     "Correct Answers" and "Incorrect Answers" (parted by ";") are answers
//   JSON object with "examples" of "input" and "target_scores", whose names are
//     the answers (HHH, BIG-bench)
//   JSON lines or one array of objects with "turns", a list (MT-bench,
//     Vicuna), or text under "question", "prompt", "instruction", "text" or
//     "input"; answers are "reference", "answer" and "output", text or lists of
//     it, and the names in "mc1_targets", "mc2_targets" and "target_scores"
// An item without "question_id" or "id" is named by its number, from 1.
// Items that are none of these are left out with a warning (base/row_faults.h).
// Error kInput of a file without an item, and of a pipe where it may be none:
// what a recipe names is read again by whoever goes on with the run.
EvaluationSet read_evaluation_set(const std::string& path,
                                  bool may_be_pipe = false);

// The fields of a CSV text (RFC 4180), row by row; empty lines are left out.
// Error kInput names `where` and the line.
std::vector<std::vector<std::string>> read_csv(std::string_view text,
                                               const std::string& where);

}  // namespace selfalign::formats
