// SPDX-License-Identifier: Apache-2.0
#include "engine/packed_cache.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <utility>

namespace selfalign::engine {
namespace {

using WeakTensor =
    c10::weak_intrusive_ptr<c10::TensorImpl, c10::UndefinedTensorImpl>;

// A weak reference keeps the address of a tensor from being used again, so
// equal addresses are equal tensors as long as none has expired.
struct Entry {
  std::vector<WeakTensor> sources;
  std::weak_ptr<const void> linear;
  int64_t bytes = 0;
};
using Key = std::pair<int64_t, std::vector<const c10::TensorImpl*>>;

struct Cache {
  std::mutex mutex;
  std::map<Key, Entry> entries;
};

struct Nodes {
  std::mutex mutex;
  std::map<int, Cache> caches;
};

// Never destroyed: engines may outlive it otherwise.
Nodes& nodes() {
  static Nodes& nodes = *new Nodes;
  return nodes;
}

thread_local int packing_node = 0;

Cache& cache() {
  const std::lock_guard<std::mutex> lock(nodes().mutex);
  return nodes().caches[packing_node];
}

}  // namespace

std::shared_ptr<const void> find_or_pack(const std::vector<at::Tensor>& tensors,
                                         int64_t kind,
                                         const std::function<Packed()>& pack) {
  Cache& cache = engine::cache();
  const std::lock_guard<std::mutex> lock(cache.mutex);
  auto& entries = cache.entries;
  Key key{kind, {}};
  Entry entry;
  for (const at::Tensor& tensor : tensors) {
    key.second.push_back(tensor.unsafeGetTensorImpl());
    if (tensor.defined()) entry.sources.emplace_back(tensor.getIntrusivePtr());
  }
  const auto found = entries.find(key);
  if (found != entries.end()) {
    std::shared_ptr<const void> linear = found->second.linear.lock();
    const auto& sources = found->second.sources;
    const bool alive =
        std::none_of(sources.begin(), sources.end(),
                     [](const WeakTensor& s) { return s.expired(); });
    if (linear != nullptr && alive) return linear;
  }
  std::erase_if(entries, [](auto& e) { return e.second.linear.expired(); });
  const Packed packed = pack();
  entry.linear = packed.linear;
  entry.bytes = packed.bytes;
  entries.insert_or_assign(std::move(key), std::move(entry));
  return packed.linear;
}

int64_t packed_bytes() {
  const std::lock_guard<std::mutex> lock(nodes().mutex);
  int64_t bytes = 0;
  for (auto& [node, cache] : nodes().caches) {
    const std::lock_guard<std::mutex> entries_lock(cache.mutex);
    for (const auto& [key, entry] : cache.entries) {
      if (!entry.linear.expired()) bytes += entry.bytes;
    }
  }
  return bytes;
}

PackingNode::PackingNode(int node) { packing_node = node; }
PackingNode::~PackingNode() { packing_node = 0; }

}  // namespace selfalign::engine
