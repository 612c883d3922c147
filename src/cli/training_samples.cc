#include "cli/training_samples.h"

#include <utility>

#include "base/hash.h"

namespace selfalign::cli {

std::vector<stages::TrainingSample> training_samples(
    const std::vector<stages::GivenConversation>& rows,
    const stages::ChatPrompt& chat) {
  std::vector<stages::TrainingSample> samples;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (!rows[i].exchanges.problem.empty()) continue;
    stages::TrainingSample sample{
        0, stages::training_turns(chat, rows[i].exchanges)};
    Hasher key;
    key.add(i);
    for (const stages::TrainingTurn& turn : sample.turns) {
      key.add(turn.prompt).add(turn.response);
    }
    sample.key = key.key();
    samples.push_back(std::move(sample));
  }
  return samples;
}

}  // namespace selfalign::cli
