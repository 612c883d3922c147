// SPDX-License-Identifier: Apache-2.0
#include "base/random.h"

#include <unordered_map>

#include "base/error.h"

namespace selfalign {
namespace {

// Multipliers and key increments of Philox4x32 (section 3.3, table 2).
constexpr uint32_t kMultiplier0 = 0xD2511F53;
constexpr uint32_t kMultiplier1 = 0xCD9E8D57;
constexpr uint32_t kWeyl0 = 0x9E3779B9;
constexpr uint32_t kWeyl1 = 0xBB67AE85;
constexpr int kRounds = 10;

std::array<uint32_t, 2> split(uint64_t value) {
  return {static_cast<uint32_t>(value), static_cast<uint32_t>(value >> 32)};
}

uint64_t draw_bits_64(uint64_t key, uint64_t t) {
  const auto [low, high] = split(t);
  const auto block = philox4x32({low, high, 0, 0}, split(key));
  return uint64_t{block[1]} << 32 | block[0];
}

}  // namespace

std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 4> counter,
                                   std::array<uint32_t, 2> key) {
  for (int round = 0; round < kRounds; ++round) {
    const auto [low0, high0] = split(uint64_t{kMultiplier0} * counter[0]);
    const auto [low1, high1] = split(uint64_t{kMultiplier1} * counter[2]);
    counter = {high1 ^ counter[1] ^ key[0], low1, high0 ^ counter[3] ^ key[1],
               low0};
    key[0] += kWeyl0;
    key[1] += kWeyl1;
  }
  return counter;
}

uint32_t draw_bits(uint64_t key, uint64_t t) {
  return static_cast<uint32_t>(draw_bits_64(key, t));
}

double draw_uniform(uint64_t key, uint64_t t) {
  return static_cast<double>(draw_bits_64(key, t) >> 11) * 0x1p-53;
}

uint64_t draw_index(uint64_t key, uint64_t t, uint64_t n) {
  SELFALIGN_CHECK(n > 0, "an index into nothing");
  // The high half of the 128-bit product: the fraction bits/2^64 of n.
  __extension__ using Wide = unsigned __int128;
  return static_cast<uint64_t>(Wide{draw_bits_64(key, t)} * n >> 64);
}

std::vector<uint32_t> draw_sample(uint64_t key, uint32_t n, uint32_t k) {
  SELFALIGN_CHECK(k <= n, "a sample of ", k, " from ", n);
  // Fisher-Yates, the first k swaps; only places that moved are kept.
  std::unordered_map<uint32_t, uint32_t> moved;
  const auto at = [&](uint32_t i) {
    const auto it = moved.find(i);
    return it == moved.end() ? i : it->second;
  };
  std::vector<uint32_t> sample(k);
  for (uint32_t i = 0; i < k; ++i) {
    const auto j = i + static_cast<uint32_t>(draw_index(key, i, n - i));
    sample[i] = at(j);
    moved[j] = at(i);
  }
  return sample;
}

}  // namespace selfalign
