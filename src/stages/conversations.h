// SPDX-License-Identifier: Apache-2.0
// What there is to learn from in conversations of a data set, as `train` and
// the baselines take them (Vicuna's many turns): every answer of the assistant
// to a turn of the user.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "formats/datasets.h"
#include "recipe/prompts.h"
#include "stages/workbench.h"

namespace selfalign::stages {

// The problem of a conversation whose prompt alone fills max_length.
constexpr char kTooLong[] = "too_long";

struct DialogueTurn {
  std::string user;
  std::string answer;
  bool learn = true;  // false: only read before the answers that follow
};
struct Dialogue {
  std::string system;  // "" if the conversation has none
  std::vector<DialogueTurn> turns;
  std::string
      problem;  // why it cannot be used, a short fixed word; "" if it can
  std::string detail;  // for the person
};
// An assistant's turn before the first of the user and a user's last turn
// without an answer are left out; the rest must be user and assistant in turn
// after at most one system turn (else "out_of_turn"), with text that can be
// seen in all of them and at least one answer (else "no_answer"), of which one
// is to be learnt (else "not_learnt"). Answers are without white space at their
// ends, as a chat keeps them. A system turn without text is none.
Dialogue find_exchanges(const formats::Conversation& conversation);

// The dialogue as a chat lays them out under `chat`, in place of whose prompt
// stands the conversation's own system turn if it has one. Answers that are not
// learnt are turns that are only read.
std::vector<TrainingTurn> training_turns(const recipe::ChatPrompt& chat,
                                         const Dialogue& dialogue);

struct GivenConversation {
  std::string where;  // formats::DatasetRow
  formats::Conversation conversation;
  Dialogue dialogue;  // `problem` is also that of reading the row
  uint64_t key = 0;   // of its sample; first its place among the rows
};
// The first `max_rows` rows of a file (0: all), good and bad. Error kInput
// where all are bad, and as of read_dataset.
std::vector<GivenConversation> read_conversations(const std::string& path,
                                                  size_t max_rows = 0);

// One sample for each conversation that has no problem: what a chat under
// `chat` would show the model before every answer, and the answers.
std::vector<TrainingSample> conversation_samples(
    const std::vector<GivenConversation>& rows, const recipe::ChatPrompt& chat);
// The rows whose samples do not fit (Workbench::fit) get the problem
// kTooLong.
void reject_too_long(std::vector<GivenConversation>& rows,
                     const std::vector<bool>& fits, int64_t max_length);
// Warns of the bad rows of the file with their places; Error kInput where all
// are.
void warn_of_problems(const std::string& path,
                      const std::vector<GivenConversation>& rows);

// Rows by the reason for which they cannot be used.
std::map<std::string, int64_t> count_problems(
    const std::vector<GivenConversation>& rows);

struct RowProblem {
  std::string where;
  std::string reason;
  std::string detail;
};
// "PATH: 3 of 10 rows are left out: 2 no_answer, 1 unreadable; the first: ..."
// with the first place of each reason; "" if there are no problems.
std::string left_out(const std::string& path, size_t num_rows,
                     const std::vector<RowProblem>& problems);

}  // namespace selfalign::stages
