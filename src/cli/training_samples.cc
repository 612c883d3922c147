#include "cli/training_samples.h"

#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "stages/tuning.h"

namespace selfalign::cli {
namespace {

[[noreturn]] void throw_row(const std::string& where, size_t row,
                            const std::string& found) {
  throw Error(ErrorKind::kInput,
              str(where, ": row ", row + 1,
                  ": expected user and assistant in turn, the assistant "
                  "last, found ",
                  found, "; correct or remove the row"));
}

}  // namespace

std::vector<stages::TrainingSample> training_samples(
    const std::vector<formats::Conversation>& conversations,
    const stages::ChatPrompt& chat, const std::string& where) {
  std::vector<stages::TrainingSample> samples;
  for (size_t row = 0; row < conversations.size(); ++row) {
    const std::vector<formats::Turn>& turns = conversations[row].turns;
    stages::ChatPrompt own = chat;
    size_t i = 0;
    if (!turns.empty() && turns[0].role == "system") {
      own.prompt = turns[0].text + "\n\n";
      i = 1;
    }
    if (i == turns.size()) throw_row(where, row, "no turns");
    std::vector<stages::TrainingTurn> exchanges;
    for (; i < turns.size(); i += 2) {
      if (turns[i].role != "user") {
        throw_row(where, row, "a turn of '" + turns[i].role + "'");
      }
      if (i + 1 == turns.size() || turns[i + 1].role != "assistant") {
        throw_row(where, row, "a user's turn without an answer");
      }
      exchanges.push_back({turns[i].text, turns[i + 1].text});
    }
    stages::TrainingSample sample{0, stages::chat_turns(own, exchanges)};
    Hasher key;
    key.add(row);
    for (const stages::TrainingTurn& turn : sample.turns) {
      key.add(turn.prompt).add(turn.response);
    }
    sample.key = key.key();
    samples.push_back(std::move(sample));
  }
  return samples;
}

}  // namespace selfalign::cli
