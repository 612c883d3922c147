// SPDX-License-Identifier: Apache-2.0
#include "engine/sequence_cache.h"

#include <algorithm>

namespace selfalign::engine {
namespace {

constexpr int64_t kShortest = 32;  // tokens

}  // namespace

int64_t SequenceCache::Row::cost() const {
  return static_cast<int64_t>(tokens.size() +
                              (prefix ? prefix->tokens.size() : 0));
}

void SequenceCache::keep(std::shared_ptr<Prefix> prefix,
                         std::vector<int> tokens,
                         std::unique_ptr<Sequence> sequence) {
  tokens.resize(static_cast<size_t>(sequence->length()));
  Row row{std::move(prefix), std::move(tokens), std::move(sequence)};
  if (static_cast<int64_t>(row.tokens.size()) < kShortest ||
      row.cost() > max_tokens_) {
    return;
  }
  num_tokens_ += row.cost();
  rows_.push_front(std::move(row));
  while (num_tokens_ > max_tokens_) {
    num_tokens_ -= rows_.back().cost();
    rows_.pop_back();
  }
}

std::unique_ptr<Sequence> SequenceCache::take(
    const std::shared_ptr<Prefix>& prefix, const std::vector<int>& tokens) {
  auto best = rows_.end();
  int64_t most = kShortest - 1;
  for (auto row = rows_.begin(); row != rows_.end(); ++row) {
    if (row->prefix != prefix) continue;
    const int64_t common = num_common(row->tokens, tokens);
    if (common <= most) continue;
    most = common;
    best = row;
  }
  if (best == rows_.end()) return nullptr;
  num_tokens_ -= best->cost();
  std::unique_ptr<Sequence> sequence = std::move(best->sequence);
  rows_.erase(best);
  sequence->truncate(std::min(most, static_cast<int64_t>(tokens.size()) - 1));
  return sequence;
}

}  // namespace selfalign::engine
