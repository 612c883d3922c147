// SPDX-License-Identifier: Apache-2.0
#include "text/merge_table.h"

#include <queue>

#include "base/slices.h"

namespace selfalign::text {
namespace {

constexpr uint64_t kEmpty = ~uint64_t{0};

uint64_t pair_key(int left, int right) {
  return uint64_t{static_cast<uint32_t>(left)} << 32 |
         static_cast<uint32_t>(right);
}

struct Symbol {
  int id;                  // -1: joined to the one before it
  int32_t previous, next;  // -1: none
};

struct Candidate {
  int32_t rank;
  int32_t position;
  int left, right;
  int joined;
  // The top of a std::priority_queue is its greatest: lowest rank, leftmost.
  bool operator<(const Candidate& other) const {
    return rank != other.rank ? rank > other.rank : position > other.position;
  }
};

}  // namespace

MergeTable::MergeTable(size_t num_merges) : shift_(60) {
  size_t size = 16;
  while (size < 2 * num_merges) {
    size *= 2;
    --shift_;
  }
  slots_.assign(size, {kEmpty, {0, 0}});
}

size_t MergeTable::slot_of(uint64_t key) const {
  size_t slot = (key * 0x9E3779B97F4A7C15u) >> shift_;
  while (slots_[slot].key != kEmpty && slots_[slot].key != key) {
    slot = (slot + 1) & (slots_.size() - 1);
  }
  return slot;
}

void MergeTable::set(int left, int right, Merge merge) {
  const uint64_t key = pair_key(left, right);
  slots_[slot_of(key)] = {key, merge};
}

const MergeTable::Merge* MergeTable::find(int left, int right) const {
  const Slot& slot = slots_[slot_of(pair_key(left, right))];
  return slot.key == kEmpty ? nullptr : &slot.merge;
}

void MergeTable::apply(std::vector<int>& ids) const {
  // Below this length looking at all pairs again beats keeping a heap.
  constexpr size_t kShort = 24;
  if (ids.size() <= kShort) {
    apply_short(ids);
  } else {
    apply_long(ids);
  }
}

void MergeTable::apply_short(std::vector<int>& ids) const {
  while (ids.size() > 1) {
    const Merge* best = nullptr;
    size_t at = 0;
    for (size_t i = 0; i + 1 < ids.size(); ++i) {
      const Merge* merge = find(ids[i], ids[i + 1]);
      if (merge != nullptr && (best == nullptr || merge->rank < best->rank)) {
        best = merge;
        at = i;
      }
    }
    if (best == nullptr) return;
    ids[at] = best->joined;
    ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(at) + 1);
  }
}

void MergeTable::apply_long(std::vector<int>& ids) const {
  const auto count = static_cast<int32_t>(ids.size());
  std::vector<Symbol> symbols;
  symbols.reserve(ids.size());
  for (int32_t i = 0; i < count; ++i) {
    symbols.push_back(
        {ids[static_cast<size_t>(i)], i - 1, i + 1 < count ? i + 1 : -1});
  }
  const auto symbol = [&](int32_t i) -> Symbol& {
    return symbols[static_cast<size_t>(i)];
  };
  std::priority_queue<Candidate> candidates;
  const auto propose = [&](int32_t position) {
    if (position < 0 || symbol(position).next < 0) return;
    const int left = symbol(position).id;
    const int right = symbol(symbol(position).next).id;
    if (const Merge* merge = find(left, right)) {
      candidates.push({merge->rank, position, left, right, merge->joined});
    }
  };
  SliceCounter slices;
  for (int32_t i = 0; i < count; ++i) {
    propose(i);
    slices.count();
  }
  while (!candidates.empty()) {
    slices.count();
    const Candidate top = candidates.top();
    candidates.pop();
    Symbol& left = symbol(top.position);
    if (left.id != top.left || left.next < 0) continue;
    Symbol& right = symbol(left.next);
    if (right.id != top.right) continue;
    left.id = top.joined;
    right.id = -1;
    left.next = right.next;
    if (left.next >= 0) symbol(left.next).previous = top.position;
    propose(left.previous);
    propose(top.position);
  }
  ids.clear();
  for (int32_t i = count > 0 ? 0 : -1; i >= 0; i = symbol(i).next) {
    ids.push_back(symbol(i).id);
  }
}

}  // namespace selfalign::text
