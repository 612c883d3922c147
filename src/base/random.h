// SPDX-License-Identifier: Apache-2.0
// Counter-based randomness: draw t of a row is a pure function of (key, t),
// so a row comes out the same in any order, slot or process.
// Philox4x32-10: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
// SC 2011, section 3.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace selfalign {

// The ten-round block function: 128 bits of counter, 64 bits of key.
std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 4> counter,
                                   std::array<uint32_t, 2> key);

// Draw t of the stream `key`.
uint32_t draw_bits(uint64_t key, uint64_t t);
double draw_uniform(uint64_t key, uint64_t t);  // in [0, 1), 53 bits
// In [0, n), n > 0; free of modulo bias to 2^-32.
uint64_t draw_index(uint64_t key, uint64_t t, uint64_t n);

// The first k of a random permutation of 0..n-1 (k <= n), from draws
// t = 0..k-1 of the stream.
std::vector<uint32_t> draw_sample(uint64_t key, uint32_t n, uint32_t k);

}  // namespace selfalign
