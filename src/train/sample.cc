// SPDX-License-Identifier: Apache-2.0
#include "train/sample.h"

namespace selfalign::train {

Sample text_sample(const std::vector<int>& tokens, int64_t prompt_length) {
  Sample sample;
  for (size_t i = 1; i < tokens.size(); ++i) {
    sample.inputs.push_back(tokens[i - 1]);
    if (int64_t(i) < prompt_length) continue;
    sample.loss_rows.push_back(int64_t(i) - 1);
    sample.targets.push_back(tokens[i]);
  }
  return sample;
}

}  // namespace selfalign::train
