// SPDX-License-Identifier: Apache-2.0
#include "local/local_engines.h"

#include <algorithm>
#include <set>

#include "base/counted.h"
#include "base/error.h"
#include "base/log.h"

namespace selfalign::local {
namespace {

uint64_t weights_of(const std::vector<engine::EnginePlace>& places,
                    const EngineRoom& room) {
  std::set<int> nodes;
  for (const auto& place : places) nodes.insert(place.node);
  return nodes.size() * room.weights();
}

}  // namespace

std::vector<engine::EnginePlace> cpu_places(
    const std::vector<ProcessorNode>& nodes, int asked,
    const EngineRoom& room) {
  std::vector<engine::EnginePlace> alone = {{.num_threads = room.num_threads}};
  if (asked == 1 || (asked == 0 && nodes.size() == 1)) return alone;
  auto places = engine::engine_places(nodes, asked, room.num_threads);
  const int num = static_cast<int>(places.size());
  if (asked == 0 && (num > room.num_slots || num > room.num_threads)) {
    return alone;
  }
  const uint64_t bytes = weights_of(places, room);
  if (!room.available || bytes <= *room.available) return places;
  const std::string found =
      str(bytes >> 20, " MiB of free memory for the weights on ",
          counted(num, "NUMA node"), ", found ", *room.available >> 20);
  if (asked == 0) {
    log_info(str(room.path, ": one engine for all processors, as ", num,
                 " would need ", found));
    return alone;
  }
  throw Error(ErrorKind::kResources,
              str(room.path, ": expected ", found,
                  "; use fewer engines (--engines 1), bfloat16 or a smaller "
                  "model"));
}

std::vector<engine::EnginePlace> device_places(int num_devices, int asked,
                                               const EngineRoom& room) {
  if (asked > num_devices) {
    throw Error(ErrorKind::kUsage,
                str("--engines ", asked, ": expected at most ", num_devices,
                    ", one for each GPU that can be used"));
  }
  const int num =
      asked > 0 ? asked : std::max(1, std::min(num_devices, room.num_slots));
  return {
      static_cast<size_t>(num),
      engine::EnginePlace{.num_threads = std::max(1, room.num_threads / num)}};
}

}  // namespace selfalign::local
