// SPDX-License-Identifier: Apache-2.0
// What a training computes row by row, forward and backward, for
// kernels_impl.h, under the same rules and after what it includes. Each goes
// over its row once or twice and computes in float32; what is at the end of a
// row and fills no register is filled up with zeros.
#pragma once

#include "engine/vector_math.h"

namespace selfalign::engine {
namespace {

template <typename T>
SELFALIGN_INLINE Vf load_some(const T* from, int64_t count) {
  if (count >= kLanes) return widen(from);
  T some[kLanes] = {};
  for (int64_t i = 0; i < count; ++i) some[i] = from[i];
  return widen(some);
}

template <typename T>
SELFALIGN_INLINE void store_some(T* to, int64_t count, Vf x) {
  if (count >= kLanes) return store_rounded(to, x);
  T some[kLanes];
  store_rounded(some, x);
  for (int64_t i = 0; i < count; ++i) to[i] = some[i];
}

template <typename T>
float norm_row(const T* x, const float* weight, int64_t n, float eps, T* out) {
  Vf squares = {};
  for (int64_t i = 0; i < n; i += kLanes) {
    const Vf v = load_some(x + i, n - i);
    squares += v * v;
  }
  const float factor =
      1.0f /
      __builtin_sqrtf(horizontal_sum(squares) / static_cast<float>(n) + eps);
  for (int64_t i = 0; i < n; i += kLanes) {
    store_some(out + i, n - i,
               load_some(x + i, n - i) * factor * load_some(weight + i, n - i));
  }
  return factor;
}

template <typename T>
void norm_row_backward(const T* x, const float* weight, const T* gradient,
                       int64_t n, float factor, T* out) {
  Vf sums = {};
  for (int64_t i = 0; i < n; i += kLanes) {
    sums += load_some(gradient + i, n - i) * load_some(weight + i, n - i) *
            load_some(x + i, n - i);
  }
  const float share =
      horizontal_sum(sums) * factor * factor / static_cast<float>(n);
  for (int64_t i = 0; i < n; i += kLanes) {
    const Vf d = load_some(gradient + i, n - i) * load_some(weight + i, n - i);
    store_some(out + i, n - i, (d - load_some(x + i, n - i) * share) * factor);
  }
}

template <typename T>
void gate_row(const T* gate, const T* up, int64_t n, T* out) {
  for (int64_t i = 0; i < n; i += kLanes) {
    store_some(out + i, n - i,
               activate<Activation::kSilu>(load_some(gate + i, n - i)) *
                   load_some(up + i, n - i));
  }
}

template <typename T>
void gate_row_backward(const T* gate, const T* up, const T* gradient, int64_t n,
                       T* gate_out, T* up_out) {
  for (int64_t i = 0; i < n; i += kLanes) {
    const Vf x = load_some(gate + i, n - i);
    const Vf d = load_some(gradient + i, n - i);
    const Vf share = 1.0f / (exp_of(-x) + 1.0f);
    store_some(
        gate_out + i, n - i,
        d * load_some(up + i, n - i) * share * (x * (1.0f - share) + 1.0f));
    store_some(up_out + i, n - i, d * x * share);
  }
}

template <typename T>
void rotate_row(const T* x, const float* cos, const float* sin, int64_t n,
                bool is_backward, T* out) {
  const int64_t half = n / 2;
  for (int64_t i = 0; i < half; i += kLanes) {
    const int64_t count = half - i;
    const Vf a = load_some(x + i, count), b = load_some(x + half + i, count);
    const Vf ca = load_some(cos + i, count), sa = load_some(sin + i, count);
    const Vf cb = load_some(cos + half + i, count);
    const Vf sb = load_some(sin + half + i, count);
    store_some(out + i, count, is_backward ? a * ca + b * sb : a * ca - b * sa);
    store_some(out + half + i, count,
               is_backward ? b * cb - a * sa : b * cb + a * sb);
  }
}

}  // namespace
}  // namespace selfalign::engine
