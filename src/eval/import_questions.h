// SPDX-License-Identifier: Apache-2.0
// Questions that others published or a person has, as a file of open questions
// (questions.h): the samples of papers' appendices, seed questions, prompts of
// datasets.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace selfalign::eval {

struct ImportedQuestions {
  int64_t num_questions = 0;  // written
  int64_t num_empty = 0;      // rows without a question
  int64_t num_repeated = 0;   // the same question again
  bool numbered = false;  // from 1, since not all rows had an id of their own
};

// Reads files, each either JSON in any layout of base/json_rows.h whose rows
// hold "turns" or "question"
// ("question_id", "category" or "question_type" beside it, as FastChat and the
// released red-teaming seeds have them), or whatever formats::read_prompts
// takes: datasets, and text files with a question a line. Writes
// {"question_id", "category", "turns"} lines to `output`, which must not be
// there yet. Rows that cannot be read as those before them are left out with a
// warning (base/row_faults.h); Error kInput where no question is left.
ImportedQuestions import_questions(const std::vector<std::string>& paths,
                                   const std::string& output);

}  // namespace selfalign::eval
