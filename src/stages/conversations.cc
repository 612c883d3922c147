#include "stages/conversations.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "stages/thoughts.h"

namespace selfalign::stages {

Exchanges find_exchanges(const formats::Conversation& conversation) {
  const std::vector<formats::Turn>& turns = conversation.turns;
  Exchanges found;
  const auto refuse = [&found](const char* problem, std::string detail) {
    found.turns.clear();
    found.problem = problem;
    found.detail = std::move(detail);
    return found;
  };
  size_t i = 0;
  if (i < turns.size() && turns[i].role == "system") {
    found.system = turns[i++].text;
  }
  if (i < turns.size() && turns[i].role == "assistant") ++i;
  for (; i + 1 < turns.size(); i += 2) {
    if (turns[i].role != "user" || turns[i + 1].role != "assistant") {
      return refuse("out_of_turn", str("turns ", i + 1, " and ", i + 2, ": ",
                                       turns[i].role, ", ", turns[i + 1].role));
    }
    if (trim(turns[i].text).empty() || trim(turns[i + 1].text).empty()) {
      return refuse("no_answer",
                    str("turns ", i + 1, " and ", i + 2, ": one is empty"));
    }
    found.turns.push_back(
        {turns[i].text, turns[i + 1].text, turns[i + 1].learn});
  }
  if (i < turns.size() && turns[i].role != "user") {
    return refuse("out_of_turn", str("turn ", i + 1, ": ", turns[i].role));
  }
  if (found.turns.empty()) {
    return refuse("no_answer", "expected a turn of the user and an answer");
  }
  if (std::none_of(found.turns.begin(), found.turns.end(),
                   [](const Exchange& turn) { return turn.learn; })) {
    return refuse("not_learnt", "no answer has a weight");
  }
  return found;
}

std::vector<TrainingTurn> training_turns(const ChatPrompt& chat,
                                         const Exchanges& exchanges) {
  std::vector<TrainingTurn> turns;
  std::string before =
      exchanges.system.empty() ? chat.prompt : exchanges.system + "\n\n";
  for (const Exchange& exchange : exchanges.turns) {
    before += chat_turn(chat, exchange.user);
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
  std::vector<RowProblem> problems;
  for (formats::DatasetRow& row : rows) {
    Exchanges exchanges;
    if (row.reason.empty()) {
      exchanges = find_exchanges(row.conversation);
    } else {
      exchanges.problem = std::move(row.reason);
      exchanges.detail = std::move(row.detail);
    }
    if (!exchanges.problem.empty()) {
      problems.push_back({row.where, exchanges.problem, exchanges.detail});
    }
    given.push_back({std::move(row.where), std::move(row.conversation),
                     std::move(exchanges)});
  }
  const std::string text = left_out(path, given.size(), problems);
  if (problems.size() == given.size()) {
    throw Error(ErrorKind::kInput, text + "; expected a row to learn from");
  }
  if (!problems.empty()) log_warning(text);
  return given;
}

std::map<std::string, int64_t> count_problems(
    const std::vector<GivenConversation>& rows) {
  std::map<std::string, int64_t> counts;
  for (const GivenConversation& row : rows) {
    if (!row.exchanges.problem.empty()) ++counts[row.exchanges.problem];
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
  std::string text =
      str(path, ": ", problems.size(), " of ", num_rows, " rows are left out:");
  for (const auto& [reason, count] : counts) {
    text += str(text.back() == ':' ? " " : ", ", count, " ", reason);
  }
  return text + "; the first of each:" + places;
}

}  // namespace selfalign::stages
