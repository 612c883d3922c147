// SPDX-License-Identifier: Apache-2.0
// Vectors and functions of them for kernels_impl.h, under the same rules: for
// one instruction set, by the definitions that stand there.

#pragma once

#include <cstdint>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "formats/activation.h"

namespace selfalign::engine {
namespace {

using formats::Activation;

constexpr int kLanes = SELFALIGN_LANES;

using Vf = float __attribute__((vector_size(kLanes * 4)));
using Vi = int32_t __attribute__((vector_size(kLanes * 4)));
using Vu = uint32_t __attribute__((vector_size(kLanes * 4)));
using VfLoad =
    float __attribute__((vector_size(kLanes * 4), aligned(2), may_alias));
using VuLoad =
    uint32_t __attribute__((vector_size(kLanes * 4), aligned(2), may_alias));
using Pair = uint32_t __attribute__((aligned(2), may_alias));

#define SELFALIGN_INLINE inline __attribute__((always_inline))

SELFALIGN_INLINE Vf load(const float* p) {
  return *reinterpret_cast<const VfLoad*>(p);
}
SELFALIGN_INLINE void store(float* p, Vf x) {
  *reinterpret_cast<VfLoad*>(p) = x;
}
SELFALIGN_INLINE Vf splat(float x) { return x - Vf{}; }
SELFALIGN_INLINE Vf max_of(Vf a, Vf b) { return a > b ? a : b; }
SELFALIGN_INLINE Vf min_of(Vf a, Vf b) { return a < b ? a : b; }
// Lane i gets lane i ^ d. The order is a constant: computed, it costs more than
// all else that is done with it.
template <int d>
SELFALIGN_INLINE Vf swap_lanes(Vf x) {
#if SELFALIGN_LANES == 16
  return __builtin_shufflevector(x, x, 0 ^ d, 1 ^ d, 2 ^ d, 3 ^ d, 4 ^ d, 5 ^ d,
                                 6 ^ d, 7 ^ d, 8 ^ d, 9 ^ d, 10 ^ d, 11 ^ d,
                                 12 ^ d, 13 ^ d, 14 ^ d, 15 ^ d);
#elif SELFALIGN_LANES == 8
  return __builtin_shufflevector(x, x, 0 ^ d, 1 ^ d, 2 ^ d, 3 ^ d, 4 ^ d, 5 ^ d,
                                 6 ^ d, 7 ^ d);
#else
  return __builtin_shufflevector(x, x, 0 ^ d, 1 ^ d, 2 ^ d, 3 ^ d);
#endif
}
// Over all lanes, in a fixed order of pairs.
template <int d = kLanes / 2>
SELFALIGN_INLINE float horizontal_max(Vf x) {
  x = max_of(x, swap_lanes<d>(x));
  if constexpr (d == 1) {
    return x[0];
  } else {
    return horizontal_max<d / 2>(x);
  }
}
template <int d = kLanes / 2>
SELFALIGN_INLINE float horizontal_sum(Vf x) {
  x += swap_lanes<d>(x);
  if constexpr (d == 1) {
    return x[0];
  } else {
    return horizontal_sum<d / 2>(x);
  }
}

// exp to 2 units in the last place: x = n ln 2 + r, a polynomial of degree 6
// in r, n added to the exponent. exp(0) is 1 exactly, below -87 it is 0.
SELFALIGN_INLINE Vf exp_of(Vf x) {
  const Vf magic = splat(12582912.0f);  // 1.5 * 2^23: rounds to an integer
  const Vf low = splat(-87.0f), high = splat(88.0f);
  const Vf clamped = max_of(low, min_of(high, x));
  const Vf shifted = clamped * 1.44269504f + magic;
  const Vf n = shifted - magic;
  const Vf r = (clamped - n * 0.693359375f) - n * -2.12194440e-4f;
  Vf p = splat(1.3888889e-3f);
  p = p * r + 8.3333333e-3f;
  p = p * r + 4.1666667e-2f;
  p = p * r + 1.6666667e-1f;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  const Vi scaled = (Vi)p + ((Vi)shifted << 23);
  return x < low ? Vf{} : (Vf)scaled;
}

// 1 - 2 / (exp(2x) + 1), to 1e-7.
SELFALIGN_INLINE Vf tanh_of(Vf x) {
  return 1.0f - 2.0f / (exp_of(x + x) + 1.0f);
}

// x times the normal distribution's share below x; erf by Abramowitz and
// Stegun 1964, formula 7.1.26, to 2e-7.
SELFALIGN_INLINE Vf gelu_of(Vf x) {
  const Vf z = x * 0.707106781f;
  const Vf size = z < 0.0f ? -z : z;
  const Vf t = 1.0f / (size * 0.3275911f + 1.0f);
  Vf p = splat(1.061405429f);
  p = p * t - 1.453152027f;
  p = p * t + 1.421413741f;
  p = p * t - 0.284496736f;
  p = p * t + 0.254829592f;
  const Vf tail = p * t * exp_of(-size * size) * 0.5f;  // beyond |z|
  return x * (z < 0.0f ? tail : 1.0f - tail);
}

// kLanes numbers as 32 bits; GCC widens vectors of bytes one by one.
SELFALIGN_INLINE Vi widen(const int8_t* p) {
#if defined(__AVX512F__) && SELFALIGN_LANES == 16
  return (Vi)_mm512_cvtepi8_epi32(
      _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
#elif defined(__AVX2__) && SELFALIGN_LANES == 8
  return (Vi)_mm256_cvtepi8_epi32(
      _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
#else
  Vi wide;
  for (int i = 0; i < kLanes; ++i) wide[i] = p[i];
  return wide;
#endif
}
SELFALIGN_INLINE Vf widen(const uint16_t* p) {
#if defined(__AVX512F__) && SELFALIGN_LANES == 16
  const Vu wide = (Vu)_mm512_cvtepu16_epi32(
      _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
#elif defined(__AVX2__) && SELFALIGN_LANES == 8
  const Vu wide = (Vu)_mm256_cvtepu16_epi32(
      _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
#else
  Vu wide;
  for (int i = 0; i < kLanes; ++i) wide[i] = p[i];
#endif
  return (Vf)(wide << 16);
}

SELFALIGN_INLINE Vf widen(const float* p) { return load(p); }

template <Activation kind>
SELFALIGN_INLINE Vf activate(Vf x) {
  if constexpr (kind == Activation::kSilu) {
    return x / (exp_of(-x) + 1.0f);
  } else if constexpr (kind == Activation::kGelu) {
    return gelu_of(x);
  } else if constexpr (kind == Activation::kGeluTanh) {
    // x (1 + tanh(y)) / 2 with y = sqrt(2 / pi) (x + 0.044715 x^3)
    const Vf twice = x * (x * x * 0.044715f + 1.0f) * 1.595769122f;
    return x / (exp_of(-twice) + 1.0f);
  } else {
    const Vf positive = x > 0.0f ? x : Vf{};
    return positive * positive;
  }
}

// Rounds to bfloat16, ties to even; not for NaN.
SELFALIGN_INLINE uint16_t round_to(float x, uint16_t*) {
  uint32_t bits;
  __builtin_memcpy(&bits, &x, 4);
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1)) >> 16);
}
SELFALIGN_INLINE float round_to(float x, float*) { return x; }

// The same of all lanes; not for numbers below 1e-37 other than zero, which an
// instruction takes for zero.
SELFALIGN_INLINE void store_rounded(uint16_t* out, Vf x) {
#if defined(__AVX512BF16__) && SELFALIGN_LANES == 16
  using Half = uint16_t __attribute__((vector_size(32), aligned(2), may_alias));
  *reinterpret_cast<Half*>(out) = (Half)_mm512_cvtneps_pbh((__m512)x);
#else
  for (int i = 0; i < kLanes; ++i) out[i] = round_to(x[i], out);
#endif
}
SELFALIGN_INLINE void store_rounded(float* out, Vf x) { store(out, x); }

}  // namespace
}  // namespace selfalign::engine
