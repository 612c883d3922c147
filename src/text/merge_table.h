// SPDX-License-Identifier: Apache-2.0
// The merges of a byte-pair vocabulary, and their application to one word.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace selfalign::text {

// (left, right) -> (rank, joined): open addressing, at most half full.
class MergeTable {
 public:
  struct Merge {
    int32_t rank;
    int32_t joined;
  };

  explicit MergeTable(size_t num_merges);
  // A pair that is there already gets the new value.
  void set(int left, int right, Merge merge);
  // nullptr: the pair does not merge.
  const Merge* find(int left, int right) const;

  // Joins neighbours in `ids` until no pair merges: lowest rank first, then
  // leftmost.
  void apply(std::vector<int>& ids) const;

 private:
  struct Slot {
    uint64_t key;
    Merge merge;
  };
  size_t slot_of(uint64_t key) const;
  void apply_short(std::vector<int>& ids) const;
  void apply_long(std::vector<int>& ids) const;

  std::vector<Slot> slots_;
  int shift_;
};

}  // namespace selfalign::text
