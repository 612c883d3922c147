// SPDX-License-Identifier: Apache-2.0
// Weights in 8 or 4 bits. Along a row, 32 elements share a scale in bfloat16
// and each is a whole number of scales:
//   int8  scale = max|x| / 127, codes -127 to 127
//   int4  scale = x / -8 of the x of largest size, codes -8 to 7
// the blocks of ggml's Q8_0 and Q4_0 with another type of scale. What is
// computed with is code * scale in the compute type, in generation and as the
// frozen base of a training (Dettmers et al. 2023, QLoRA, with another code)
// alike.
//
// w8a8 is for speed: a row of a matrix has one scale in float32, max|x| / 127,
// and what the matrix is multiplied with is rounded in the same way, token by
// token, so that the products are of whole numbers; both are rotated before
// (engine/packed_int8.h). An adapter that is trained here has a base that
// computes so (train/frozen_base.h); other trainings are on the matrices.
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <vector>

#include "model/aten.h"

namespace selfalign::model {

enum class Rounding { kNone, kInt8, kInt4, kW8a8 };

// "full", "int8", "int4", "w8a8"; Error kUsage for another word.
Rounding rounding_named(const std::string& name);
// ", weights int8", or nothing: part of a generator's fingerprint.
std::string describe(Rounding rounding);
// Bits of a weight with its share of the scale; of `dtype` where not rounded.
double bits_per_weight(Rounding rounding, at::ScalarType dtype);

constexpr int64_t kRoundingGroup = 32;

// The bits of a bfloat16, ties to even; not for NaN.
inline uint16_t to_bfloat16(float x) {
  const auto bits = std::bit_cast<uint32_t>(x);
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1)) >> 16);
}
inline float from_bfloat16(uint16_t x) {
  return std::bit_cast<float>(uint32_t{x} << 16);
}

// Of the output, and of an embedding that is the same matrix.
inline Rounding output_rounding(Rounding rounding) {
  return rounding == Rounding::kInt4 ? Rounding::kInt8 : rounding;
}
// Of matrices that are held for a training.
inline Rounding base_rounding(Rounding rounding) {
  return rounding == Rounding::kW8a8 ? Rounding::kNone : rounding;
}

// Codes and scales of a row of n values: n codes and ceil(n / 32) scales, the
// bits of a bfloat16.
void round_row(const float* row, int64_t n, Rounding rounding, int8_t* codes,
               uint16_t* scales);
// The same for kW8a8: codes -127 to 127 (0 where x / scale is no number); the
// scale, which is 0 where all is below 1e-30.
float round_whole_row(const float* row, int64_t n, int8_t* codes);

// A matrix [out, in] in codes.
class RoundedMatrix {
 public:
  RoundedMatrix() = default;
  RoundedMatrix(const at::Tensor& matrix, Rounding rounding);
  at::Tensor values(at::ScalarType dtype) const;  // [out, in]

 private:
  int64_t columns_ = 0;
  bool is_packed_ = false;
  at::Tensor codes_;   // [out, groups * 32] int8, or two of 4 bits in a byte
  at::Tensor scales_;  // [out, groups] bfloat16
};

}  // namespace selfalign::model
