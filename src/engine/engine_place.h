// SPDX-License-Identifier: Apache-2.0
// Where an engine works: on which processors, with memory of which node.
#pragma once

#include <vector>

#include "base/processors.h"

namespace selfalign::engine {

struct EnginePlace {
  int node = 0;  // of memory: weights are packed for each
  std::vector<int> processors =
      {};  // that its threads are bound to; empty: any
  int num_threads = 1;
};

// So many places, or one for each node with 0: the nodes, where there are as
// many, else equal shares of all processors, cores beside each other. They have
// `num_threads` together, and at least one each.
std::vector<EnginePlace> engine_places(const std::vector<ProcessorNode>& nodes,
                                       int count, int num_threads);

}  // namespace selfalign::engine
