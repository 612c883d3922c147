// SPDX-License-Identifier: Apache-2.0
#include "text/lcs.h"

#include <algorithm>
#include <bit>

namespace selfalign::text {
namespace {

// Steps between two looks at whether the rest can still reach the goal.
constexpr size_t kStride = 16;

size_t spread(uint32_t word, size_t mask) {
  return static_cast<size_t>((word * uint64_t{0x9E3779B97F4A7C15}) >> 32) &
         mask;
}

}  // namespace

LcsPattern::LcsPattern(const std::vector<uint32_t>& a)
    : size_(a.size()),
      num_blocks_((a.size() + 63) / 64),
      slots_(std::bit_ceil(2 * a.size() + 2)) {
  uint32_t num_rows = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    size_t at = spread(a[i], slots_.size() - 1);
    while (slots_[at].row != kNone && slots_[at].word != a[i]) {
      at = (at + 1) & (slots_.size() - 1);
    }
    if (slots_[at].row == kNone) {
      slots_[at] = {a[i], num_rows++};
      masks_.resize(num_rows * num_blocks_);
    }
    masks_[slots_[at].row * num_blocks_ + i / 64] |= uint64_t{1} << (i % 64);
  }
}

const uint64_t* LcsPattern::masks_of(uint32_t word) const {
  for (size_t at = spread(word, slots_.size() - 1); slots_[at].row != kNone;
       at = (at + 1) & (slots_.size() - 1)) {
    if (slots_[at].word == word) return &masks_[slots_[at].row * num_blocks_];
  }
  return nullptr;
}

// Hyyrö's recurrence: a zero in V marks where the LCS with the prefix of b
// read so far grows; V' = (V + (V & M)) | (V & ~M).
size_t LcsPattern::short_length_with(const std::vector<uint32_t>& b,
                                     size_t needed) const {
  const uint64_t in_use =
      size_ == 64 ? ~uint64_t{0} : (uint64_t{1} << size_) - 1;
  uint64_t v = ~uint64_t{0};
  for (size_t i = 0; i < b.size(); ++i) {
    if (i % kStride == 0) {
      const auto so_far = static_cast<size_t>(std::popcount(~v & in_use));
      if (so_far + (b.size() - i) < needed) return so_far;
    }
    const uint64_t* mask = masks_of(b[i]);
    if (mask != nullptr) v = (v + (v & *mask)) | (v & ~*mask);
  }
  return static_cast<size_t>(std::popcount(~v & in_use));
}

size_t LcsPattern::long_length_with(const std::vector<uint32_t>& b) const {
  std::vector<uint64_t> v(num_blocks_, ~uint64_t{0});
  for (const uint32_t word : b) {
    const uint64_t* mask = masks_of(word);
    if (mask == nullptr) continue;
    uint64_t carry = 0;
    for (size_t k = 0; k < num_blocks_; ++k) {
      const uint64_t common = v[k] & mask[k];
      const uint64_t half = v[k] + common;
      const uint64_t sum = half + carry;
      carry = uint64_t{half < common} | uint64_t{sum < half};
      v[k] = sum | (v[k] & ~mask[k]);
    }
  }
  size_t zeros = 0;
  for (size_t k = 0; k < num_blocks_; ++k) {
    const size_t used = std::min<size_t>(64, size_ - 64 * k);
    const uint64_t in_use =
        used == 64 ? ~uint64_t{0} : (uint64_t{1} << used) - 1;
    zeros += static_cast<size_t>(std::popcount(~v[k] & in_use));
  }
  return zeros;
}

size_t LcsPattern::length_with(const std::vector<uint32_t>& b,
                               size_t needed) const {
  if (size_ == 0) return 0;
  return num_blocks_ == 1 ? short_length_with(b, needed) : long_length_with(b);
}

size_t lcs_length(const std::vector<uint32_t>& a,
                  const std::vector<uint32_t>& b) {
  return LcsPattern(a).length_with(b);
}

}  // namespace selfalign::text
