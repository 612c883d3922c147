// SPDX-License-Identifier: Apache-2.0
#include "local/training_samples.h"

#include "base/hash.h"

namespace selfalign::local {

std::vector<stages::TrainingSample> training_samples(
    const std::vector<stages::GivenConversation>& rows,
    const recipe::ChatPrompt& chat) {
  std::vector<stages::TrainingSample> samples =
      stages::conversation_samples(rows, chat);
  for (stages::TrainingSample& sample : samples) {
    Hasher key;
    key.add(sample.key);
    for (const stages::TrainingTurn& turn : sample.turns) {
      key.add(turn.prompt).add(turn.response);
    }
    sample.key = key.key();
  }
  return samples;
}

}  // namespace selfalign::local
