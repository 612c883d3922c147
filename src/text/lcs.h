// SPDX-License-Identifier: Apache-2.0
// Longest common subsequence, bit-parallel (Hyyrö 2004): exact, 64 words of
// the pattern per step.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace selfalign::text {

// One sequence, prepared for its LCS with many others.
class LcsPattern {
 public:
  explicit LcsPattern(const std::vector<uint32_t>& a);

  // The length of the LCS with `b` if it is at least `needed`; else any number
  // below `needed` (it may stop once the rest of b cannot reach it).
  size_t length_with(const std::vector<uint32_t>& b, size_t needed = 0) const;

 private:
  static constexpr uint32_t kNone = UINT32_MAX;
  struct Slot {
    uint32_t word = 0;
    uint32_t row = kNone;
  };
  const uint64_t* masks_of(uint32_t word) const;
  size_t short_length_with(const std::vector<uint32_t>& b, size_t needed) const;
  size_t long_length_with(const std::vector<uint32_t>& b) const;

  size_t size_;
  size_t num_blocks_;
  std::vector<Slot> slots_;      // open addressing, a power of two
  std::vector<uint64_t> masks_;  // [rows, blocks]: where the word stands
};

size_t lcs_length(const std::vector<uint32_t>& a,
                  const std::vector<uint32_t>& b);

}  // namespace selfalign::text
