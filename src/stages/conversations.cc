// SPDX-License-Identifier: Apache-2.0
#include "stages/conversations.h"

#include <algorithm>
#include <utility>

#include "base/counted.h"
#include "base/error.h"
#include "base/log.h"
#include "parse/thoughts.h"
#include "recipe/chat.h"
#include "text/unicode.h"

namespace selfalign::stages {

namespace {

std::string name_of(const std::vector<formats::Turn>& turns, size_t i) {
  return turns[i].name.empty() ? str("turn ", i + 1) : turns[i].name;
}

// Error where all rows are bad: there is nothing to go on with.
void require_a_good_row(const std::string& path,
                        const std::vector<RowProblem>& problems,
                        size_t num_rows) {
  if (problems.size() < num_rows) return;
  throw Error(ErrorKind::kInput,
              left_out(path, num_rows, problems) +
                  "\nexpected a row to learn from; correct the file");
}

std::vector<RowProblem> problems_of(
    const std::vector<GivenConversation>& rows) {
  std::vector<RowProblem> problems;
  for (const GivenConversation& row : rows) {
    const Dialogue& dialogue = row.dialogue;
    if (dialogue.problem.empty()) continue;
    problems.push_back({row.where, dialogue.problem, dialogue.detail});
  }
  return problems;
}

}  // namespace

Dialogue find_exchanges(const formats::Conversation& conversation) {
  const std::vector<formats::Turn>& turns = conversation.turns;
  Dialogue found;
  const auto refuse = [&found](const char* problem, std::string detail) {
    found = {"", {}, problem, std::move(detail)};
    return found;
  };
  size_t i = 0;
  if (i < turns.size() && turns[i].role == "system") {
    if (!text::is_blank(turns[i].text)) found.system = turns[i].text;
    ++i;
  }
  if (i < turns.size() && turns[i].role == "assistant") ++i;
  for (; i + 1 < turns.size(); i += 2) {
    for (const size_t k : {i, i + 1}) {
      const char* expected = k == i ? "user" : "assistant";
      if (turns[k].role != expected) {
        return refuse("out_of_turn",
                      str(name_of(turns, k), ": expected the ", expected,
                          ", found the ", turns[k].role));
      }
      if (text::is_blank(turns[k].text)) {
        return refuse("no_answer",
                      str(name_of(turns, k), " (", expected,
                          "): expected text, found none that can be seen"));
      }
    }
    found.turns.push_back(
        {turns[i].text, parse::trim(turns[i + 1].text), turns[i + 1].learn});
  }
  if (i < turns.size() && turns[i].role != "user") {
    return refuse("out_of_turn",
                  str(name_of(turns, i), ": expected the user, found the ",
                      turns[i].role));
  }
  if (found.turns.empty()) {
    return refuse("no_answer", "expected a turn of the user and an answer");
  }
  if (std::none_of(found.turns.begin(), found.turns.end(),
                   [](const DialogueTurn& turn) { return turn.learn; })) {
    return refuse("not_learnt", "no answer has a weight");
  }
  return found;
}

std::vector<TrainingTurn> training_turns(const recipe::ChatPrompt& chat,
                                         const Dialogue& dialogue) {
  std::vector<TrainingTurn> turns;
  std::string before = dialogue.system.empty()
                           ? chat.prompt
                           : recipe::with_system(chat, dialogue.system).prompt;
  for (const DialogueTurn& exchange : dialogue.turns) {
    before += recipe::chat_turn(chat, exchange.user);
    turns.push_back({std::move(before), exchange.answer, true, exchange.learn});
    before = chat.between;
  }
  return turns;
}

std::vector<GivenConversation> read_conversations(const std::string& path,
                                                  size_t max_rows) {
  std::vector<formats::DatasetRow> rows = formats::read_dataset(path);
  if (max_rows > 0 && rows.size() > max_rows) rows.resize(max_rows);
  std::vector<GivenConversation> given;
  for (formats::DatasetRow& row : rows) {
    Dialogue dialogue;
    if (row.reason.empty()) {
      dialogue = find_exchanges(row.conversation);
    } else {
      dialogue.problem = std::move(row.reason);
      dialogue.detail = std::move(row.detail);
    }
    given.push_back({std::move(row.where), std::move(row.conversation),
                     std::move(dialogue), given.size()});
  }
  require_a_good_row(path, problems_of(given), given.size());
  return given;
}

std::vector<TrainingSample> conversation_samples(
    const std::vector<GivenConversation>& rows,
    const recipe::ChatPrompt& chat) {
  std::vector<TrainingSample> samples;
  for (const GivenConversation& row : rows) {
    if (!row.dialogue.problem.empty()) continue;
    samples.push_back({row.key, training_turns(chat, row.dialogue)});
  }
  return samples;
}

void reject_too_long(std::vector<GivenConversation>& rows,
                     const std::vector<bool>& fits, int64_t max_length) {
  size_t sample = 0;
  for (GivenConversation& row : rows) {
    Dialogue& dialogue = row.dialogue;
    if (!dialogue.problem.empty() || fits.at(sample++)) continue;
    dialogue.problem = kTooLong;
    dialogue.detail = str("expected an answer that begins within ", max_length,
                          " tokens, found none");
  }
}

void warn_of_problems(const std::string& path,
                      const std::vector<GivenConversation>& rows) {
  const std::vector<RowProblem> problems = problems_of(rows);
  require_a_good_row(path, problems, rows.size());
  if (problems.empty()) return;
  log_warning(left_out(path, rows.size(), problems));
}

std::map<std::string, int64_t> count_problems(
    const std::vector<GivenConversation>& rows) {
  std::map<std::string, int64_t> counts;
  for (const GivenConversation& row : rows) {
    if (!row.dialogue.problem.empty()) ++counts[row.dialogue.problem];
  }
  return counts;
}

std::string left_out(const std::string& path, size_t num_rows,
                     const std::vector<RowProblem>& problems) {
  if (problems.empty()) return "";
  std::map<std::string, size_t> counts;
  std::string places;
  for (const RowProblem& problem : problems) {
    if (++counts[problem.reason] > 1) continue;
    places += str("\n  ", problem.where, ": ", problem.reason,
                  problem.detail.empty() ? "" : ": ", problem.detail);
  }
  std::string text = str(path, ": ", problems.size(), " of ",
                         counted(int64_t(num_rows), "row"),
                         problems.size() == 1 ? " is" : " are", " left out:");
  for (const auto& [reason, count] : counts) {
    text += str(text.back() == ':' ? " " : ", ", count, " ", reason);
  }
  return text + "; the first of each:" + places;
}

}  // namespace selfalign::stages
