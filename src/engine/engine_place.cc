// SPDX-License-Identifier: Apache-2.0
#include "engine/engine_place.h"

#include <algorithm>
#include <utility>

namespace selfalign::engine {

std::vector<EnginePlace> engine_places(const std::vector<ProcessorNode>& nodes,
                                       int count, int num_threads) {
  std::vector<EnginePlace> places;
  const auto num_places =
      count == 0 ? nodes.size() : static_cast<size_t>(count);
  std::vector<EnginePlace> all;  // processors, one each
  for (const ProcessorNode& node : nodes) {
    for (const int id : node.processors) all.push_back({node.number, {id}});
    if (num_places == nodes.size()) {
      places.push_back({node.number, node.processors});
    }
  }
  for (size_t i = 0; places.size() < num_places; ++i) {
    // With more places than processors several have the same.
    const size_t begin = i * all.size() / num_places;
    const size_t end = std::max(begin + 1, (i + 1) * all.size() / num_places);
    EnginePlace place{all.at(begin).node};
    for (size_t j = begin; j < end; ++j) {
      place.processors.push_back(all[j].processors[0]);
    }
    places.push_back(std::move(place));
  }
  for (EnginePlace& place : places) {
    const size_t share = size_t(num_threads) * place.processors.size();
    place.num_threads = std::max(1, int((share + all.size() / 2) / all.size()));
  }
  return places;
}

}  // namespace selfalign::engine
