// SPDX-License-Identifier: Apache-2.0
// How many engines generate side by side on this machine, and where.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/processors.h"
#include "engine/engine_team.h"

namespace selfalign::local {

// What there is for engines, and what they would take of it.
struct EngineRoom {
  std::string path;     // of the model, for messages
  int num_slots = 1;    // rows that each decodes together
  int num_threads = 1;  // of all
  std::function<uint64_t()> weights =
      {};  // bytes, once for each node; asked where there are several
  std::optional<uint64_t> available = {};  // bytes; nothing: not told
};

// `asked` of them on these nodes of a CPU; with 0 one for each node where
// slots, threads and memory suffice for that, else one that is bound to none.
// Error kResources where memory does not suffice for what was asked.
std::vector<engine::EnginePlace> cpu_places(
    const std::vector<ProcessorNode>& nodes, int asked, const EngineRoom& room);

// The same on so many devices, one each. Error kUsage where more are asked for.
std::vector<engine::EnginePlace> device_places(int num_devices, int asked,
                                               const EngineRoom& room);

}  // namespace selfalign::local
