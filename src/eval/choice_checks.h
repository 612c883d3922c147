// SPDX-License-Identifier: Apache-2.0
// Whether figures of multiple choice are what they say: scorers whose figures
// are known are put in the model's place, and choices in another order.
#pragma once

#include <vector>

#include "eval/choice_task.h"

namespace selfalign::eval {

struct ScoredItem {
  ChoiceItem item;
  ChoiceValues values;  // without forms that failed
};

// A random scorer is at chance, an oracle at its best, and permuted choices
// leave each item's scores as they are.
std::vector<SelfTest> check_choices(const ChoiceTask& task,
                                    const std::vector<ScoredItem>& items,
                                    uint64_t seed);

// The item with its choices in another order; place i holds what stood at
// order[i].
ChoiceItem permuted(const ChoiceItem& item, const std::vector<uint32_t>& order);

}  // namespace selfalign::eval
