#include "stages/conversations.h"

#include "base/error.h"
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
  if (i < turns.size() && turns[i].role == "system")
    found.system = turns[i++].text;
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
    found.turns.push_back({turns[i].text, turns[i + 1].text});
  }
  if (i < turns.size() && turns[i].role != "user") {
    return refuse("out_of_turn", str("turn ", i + 1, ": ", turns[i].role));
  }
  if (found.turns.empty()) return refuse("no_answer", "");
  return found;
}

}  // namespace selfalign::stages
