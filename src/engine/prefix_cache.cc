// SPDX-License-Identifier: Apache-2.0
#include "engine/prefix_cache.h"

#include <algorithm>
#include <set>
#include <utility>

namespace selfalign::engine {

int64_t num_common(const std::vector<int>& a, const std::vector<int>& b) {
  const auto most = static_cast<int64_t>(std::min(a.size(), b.size()));
  return std::mismatch(a.begin(), a.begin() + most, b.begin()).first -
         a.begin();
}

void fill_sequence(Decoder& decoder, Sequence& sequence,
                   const std::vector<int>& tokens, int64_t count,
                   int64_t chunk) {
  while (sequence.length() < count) {
    const int64_t done = sequence.length();
    decoder.forward(
        {{&sequence, tokens.data() + done, std::min(chunk, count - done)}}, {});
  }
}

Prefix* first_missing(Prefix* prefix) {
  if (prefix == nullptr) return nullptr;
  if (Prefix* missing = first_missing(prefix->before.get())) return missing;
  return prefix->num_missing() > 0 ? prefix : nullptr;
}

std::shared_ptr<Prefix> PrefixCache::find_or_add(std::vector<int> tokens) {
  std::erase_if(all_, [](const auto& prefix) { return prefix.expired(); });
  std::shared_ptr<Prefix> nearest;
  int64_t most = 0;
  for (const std::weak_ptr<Prefix>& other : all_) {
    std::shared_ptr<Prefix> prefix = other.lock();
    if (prefix->tokens == tokens) {
      keep(prefix);
      return prefix;
    }
    const int64_t common = num_common(prefix->tokens, tokens);
    if (common <= most) continue;
    most = common;
    nearest = std::move(prefix);
  }
  const int64_t unit = decoder_.shared_unit();
  const int64_t shared = unit > 0 ? most / unit * unit : 0;
  auto prefix = std::make_shared<Prefix>();
  if (shared > 0) prefix->before = cut(std::move(nearest), shared);
  if (shared == static_cast<int64_t>(tokens.size())) {
    prefix = prefix->before;
  } else {
    prefix->tokens = std::move(tokens);
    prefix->sequence = decoder_.new_sequence(
        prefix->num_own(), true,
        prefix->before ? prefix->before->sequence.get() : nullptr);
    all_.push_back(prefix);
  }
  keep(prefix);
  return prefix;
}

std::shared_ptr<Prefix> PrefixCache::cut(std::shared_ptr<Prefix> prefix,
                                         int64_t length) {
  while (prefix->num_before() >= length) prefix = prefix->before;
  if (static_cast<int64_t>(prefix->tokens.size()) == length) return prefix;
  auto start = std::make_shared<Prefix>();
  start->tokens.assign(prefix->tokens.begin(), prefix->tokens.begin() + length);
  start->sequence = prefix->sequence->cut_start(length - prefix->num_before());
  start->before = std::exchange(prefix->before, start);
  all_.push_back(start);
  return start;
}

void PrefixCache::keep(const std::shared_ptr<Prefix>& prefix) {
  recent_.remove(prefix);
  recent_.push_front(prefix);
  while (recent_.size() > 1 && num_kept_tokens() > max_tokens_) {
    recent_.pop_back();
  }
}

int64_t PrefixCache::num_kept_tokens() const {
  std::set<const Prefix*> counted;
  int64_t tokens = 0;
  for (const auto& prefix : recent_) {
    for (const Prefix* at = prefix.get();
         at != nullptr && counted.insert(at).second; at = at->before.get()) {
      tokens += at->num_own();
    }
  }
  return tokens;
}

}  // namespace selfalign::engine
