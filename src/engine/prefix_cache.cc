// SPDX-License-Identifier: Apache-2.0
#include "engine/prefix_cache.h"

#include <algorithm>

namespace selfalign::engine {
namespace {

constexpr size_t kMaxEntries = 4;

}  // namespace

void fill_sequence(Decoder& decoder, Sequence& sequence,
                   const std::vector<int>& tokens, int64_t count,
                   int64_t chunk) {
  while (sequence.length() < count) {
    const int64_t done = sequence.length();
    const Span span{&sequence, tokens.data() + done,
                    std::min(chunk, count - done)};
    decoder.forward(nullptr, {span}, {});
  }
}

std::shared_ptr<Prefix> PrefixCache::find_or_add(std::vector<int> tokens) {
  auto found = std::find_if(entries_.begin(), entries_.end(),
                            [&](auto& e) { return e->tokens == tokens; });
  if (found == entries_.end()) {
    if (entries_.size() == kMaxEntries) entries_.pop_back();
    entries_.push_front(std::make_shared<Prefix>());
    entries_.front()->tokens = std::move(tokens);
  } else {
    entries_.splice(entries_.begin(), entries_, found);
  }
  return entries_.front();
}

}  // namespace selfalign::engine
