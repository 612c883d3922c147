// SPDX-License-Identifier: Apache-2.0
// Every loop has a fixed inner count and no branch, so that the compiler
// vectorises it. d and m are half-precision scale and minimum of a block.
//
// Blocks of 32. Byte i of 4-bit values holds value i in its low half and value
// i + 16 in its high half; 5-bit values have their highest bits in 32 more.
//   Q8_0    d, 32 signed bytes                  x = d q
//   Q4_0    d, 16 bytes                         x = d (q - 8)
//   Q4_1    d, m, 16 bytes                      x = d q + m
//   Q5_0    d, high bits, 16 bytes              x = d (q - 16)
//   Q5_1    d, m, high bits, 16 bytes           x = d q + m
//   IQ4_NL  d, 16 bytes                         x = d table[q]
//
// Blocks of 256 in groups, each with a small integer scale s, some with a
// small integer minimum n; values of equal place in a byte lie 32 apart.
//   Q2_K    16 of (s, n), 64 bytes, d, m        x = d s q - m n
//   Q3_K    high bits, 64 bytes, 16 of s, d     x = d (s - 32) q, q from -4
//   Q4_K    d, m, 8 of (s, n), 128 bytes        x = d s q - m n
//   Q5_K    as Q4_K with high bits before the bytes
//   Q6_K    128 bytes, high pairs, 16 of s, d   x = d s (q - 32)
//   IQ4_XS  d, 8 of s, 128 bytes                x = d (s - 32) table[q]
#include "formats/ggml_blocks.h"

#include <bit>
#include <cstddef>
#include <cstring>

namespace selfalign::formats {
namespace {

constexpr int kSmall = 32;   // elements of a small block
constexpr int kLarge = 256;  // and of a large one

// Of IQ4_NL and IQ4_XS: not linear, finer near zero.
constexpr int8_t kTable[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                               1,    13,   25,  38,  53,  69,  89,  113};

template <typename T>
T load(const char* at) {
  T value;
  std::memcpy(&value, at, sizeof(T));
  return value;
}

float scale_at(const char* at) { return half_to_float(load<uint16_t>(at)); }
uint8_t byte(const char* at) { return static_cast<uint8_t>(*at); }

void decode_q8_0(const char* in, float* out) {
  const float scale = scale_at(in);
  int8_t q[kSmall];
  std::memcpy(q, in + 2, sizeof(q));
  for (int i = 0; i < kSmall; ++i) out[i] = static_cast<float>(q[i]) * scale;
}

void decode_q4_0(const char* in, float* out) {
  const float scale = scale_at(in);
  uint8_t q[kSmall / 2];
  std::memcpy(q, in + 2, sizeof(q));
  for (int i = 0; i < kSmall / 2; ++i) {
    out[i] = static_cast<float>((q[i] & 15) - 8) * scale;
    out[i + kSmall / 2] = static_cast<float>((q[i] >> 4) - 8) * scale;
  }
}

void decode_q4_1(const char* in, float* out) {
  const float scale = scale_at(in), minimum = scale_at(in + 2);
  uint8_t q[kSmall / 2];
  std::memcpy(q, in + 4, sizeof(q));
  for (int i = 0; i < kSmall / 2; ++i) {
    out[i] = static_cast<float>(q[i] & 15) * scale + minimum;
    out[i + kSmall / 2] = static_cast<float>(q[i] >> 4) * scale + minimum;
  }
}

// The 5-bit values of a block: high bits at `in`, then 16 bytes.
void unpack_5(const char* in, int (&q)[kSmall]) {
  const auto high = load<uint32_t>(in);
  for (int i = 0; i < kSmall / 2; ++i) {
    const uint8_t both = byte(in + 4 + i);
    q[i] = (both & 15) | static_cast<int>(high >> i & 1) << 4;
    q[i + kSmall / 2] =
        both >> 4 | static_cast<int>(high >> (i + kSmall / 2) & 1) << 4;
  }
}

void decode_q5_0(const char* in, float* out) {
  const float scale = scale_at(in);
  int q[kSmall];
  unpack_5(in + 2, q);
  for (int i = 0; i < kSmall; ++i) {
    out[i] = scale * static_cast<float>(q[i] - 16);
  }
}

void decode_q5_1(const char* in, float* out) {
  const float scale = scale_at(in), minimum = scale_at(in + 2);
  int q[kSmall];
  unpack_5(in + 4, q);
  for (int i = 0; i < kSmall; ++i) {
    out[i] = scale * static_cast<float>(q[i]) + minimum;
  }
}

void decode_iq4_nl(const char* in, float* out) {
  const float scale = scale_at(in);
  for (int i = 0; i < kSmall / 2; ++i) {
    const uint8_t both = byte(in + 2 + i);
    out[i] = scale * static_cast<float>(kTable[both & 15]);
    out[i + kSmall / 2] = scale * static_cast<float>(kTable[both >> 4]);
  }
}

void decode_q2_k(const char* in, float* out) {
  const float scale = scale_at(in + 80), minimum = scale_at(in + 82);
  for (ptrdiff_t i = 0; i < kLarge; ++i) {
    const uint8_t both = byte(in + i / 16);
    const float s = scale * static_cast<float>(both & 15);
    const float n = minimum * static_cast<float>(both >> 4);
    const uint8_t q = byte(in + 16 + i / 128 * 32 + i % 32);
    out[i] = s * static_cast<float>(q >> i / 32 % 4 * 2 & 3) - n;
  }
}

void decode_q3_k(const char* in, float* out) {
  const float scale = scale_at(in + 108);
  const char* const quants = in + 32;
  const char* const packed = in + 96;  // low halves of 16 scales, high pairs
  float scales[16];
  for (ptrdiff_t j = 0; j < 16; ++j) {
    const int low = byte(packed + j % 8) >> j / 8 * 4 & 15;
    const int high = byte(packed + 8 + j % 4) >> j / 4 * 2 & 3;
    scales[j] = scale * static_cast<float>((low | high << 4) - 32);
  }
  for (ptrdiff_t i = 0; i < kLarge; ++i) {
    const int low = byte(quants + i / 128 * 32 + i % 32) >> i / 32 % 4 * 2 & 3;
    const int high = byte(in + i % 32) >> i / 32 & 1;
    out[i] = scales[i / 16] * static_cast<float>(low - 4 * (1 - high));
  }
}

// The 8 scales and minima of Q4_K and Q5_K, 6 bits each in 12 bytes.
void unpack_scales(const char* in, float (&scales)[8], float (&minima)[8]) {
  for (int j = 0; j < 4; ++j) {
    const uint8_t s = byte(in + j), n = byte(in + 4 + j),
                  rest = byte(in + 8 + j);
    scales[j] = static_cast<float>(s & 63);
    minima[j] = static_cast<float>(n & 63);
    scales[j + 4] = static_cast<float>((rest & 15) | (s >> 2 & 48));
    minima[j + 4] = static_cast<float>(rest >> 4 | (n >> 2 & 48));
  }
}

// Of Q4_K, and with `high` bits of Q5_K.
void decode_pairs(const char* in, const char* quants, const char* high,
                  float* out) {
  const float scale = scale_at(in), minimum = scale_at(in + 2);
  float scales[8], minima[8];
  unpack_scales(in + 4, scales, minima);
  for (ptrdiff_t j = 0; j < 8; ++j) {
    const float s = scale * scales[j], n = minimum * minima[j];
    for (ptrdiff_t i = 0; i < 32; ++i) {
      int q = byte(quants + j / 2 * 32 + i) >> j % 2 * 4 & 15;
      if (high != nullptr) q |= (byte(high + i) >> j & 1) << 4;
      out[j * 32 + i] = s * static_cast<float>(q) - n;
    }
  }
}

void decode_q4_k(const char* in, float* out) {
  decode_pairs(in, in + 16, nullptr, out);
}

void decode_q5_k(const char* in, float* out) {
  decode_pairs(in, in + 48, in + 16, out);
}

void decode_q6_k(const char* in, float* out) {
  const float scale = scale_at(in + 208);
  for (ptrdiff_t i = 0; i < kLarge; ++i) {
    const ptrdiff_t half = i / 128, place = i % 128;
    const int low = byte(in + half * 64 + place % 64) >> place / 64 * 4 & 15;
    const int high =
        byte(in + 128 + half * 32 + place % 32) >> place / 32 * 2 & 3;
    const auto s = static_cast<float>(load<int8_t>(in + 192 + i / 16));
    out[i] = scale * s * static_cast<float>((low | high << 4) - 32);
  }
}

void decode_iq4_xs(const char* in, float* out) {
  const float scale = scale_at(in);
  const auto high = load<uint16_t>(in + 2);
  for (ptrdiff_t j = 0; j < 8; ++j) {
    const int low = byte(in + 4 + j / 2) >> j % 2 * 4 & 15;
    const int s = (low | (high >> 2 * j & 3) << 4) - 32;
    const float group = scale * static_cast<float>(s);
    for (ptrdiff_t i = 0; i < 16; ++i) {
      const uint8_t both = byte(in + 8 + j * 16 + i);
      out[j * 32 + i] = group * static_cast<float>(kTable[both & 15]);
      out[j * 32 + 16 + i] = group * static_cast<float>(kTable[both >> 4]);
    }
  }
}

template <void (*decode)(const char*, float*), int size, int bytes>
void decode_all(const char* in, int64_t blocks, float* out) {
  for (; blocks > 0; --blocks, in += bytes, out += size) decode(in, out);
}

}  // namespace

// Normals move the exponent's bias from 15 to 127, infinity and NaN move it
// twice, subnormals are multiples of 2^-24.
float half_to_float(uint16_t half) {
  const uint32_t magnitude = half & 0x7fffu;
  const uint32_t sign = (half & 0x8000u) << 16;
  const uint32_t bias = 112u << 23;
  const uint32_t normal = (magnitude << 13) + bias;
  const uint32_t special = normal + bias;
  const float small = static_cast<float>(static_cast<int32_t>(magnitude)) *
                      (1.0f / 16777216.0f);
  const uint32_t bits = magnitude < 0x0400u   ? std::bit_cast<uint32_t>(small)
                        : magnitude < 0x7c00u ? normal
                                              : special;
  return std::bit_cast<float>(bits | sign);
}

bool decode_blocks(ElementType type, const char* in, int64_t blocks,
                   float* out) {
  switch (type) {
    case ElementType::kQ8_0:
      decode_all<decode_q8_0, kSmall, 34>(in, blocks, out);
      return true;
    case ElementType::kQ4_0:
      decode_all<decode_q4_0, kSmall, 18>(in, blocks, out);
      return true;
    case ElementType::kQ4_1:
      decode_all<decode_q4_1, kSmall, 20>(in, blocks, out);
      return true;
    case ElementType::kQ5_0:
      decode_all<decode_q5_0, kSmall, 22>(in, blocks, out);
      return true;
    case ElementType::kQ5_1:
      decode_all<decode_q5_1, kSmall, 24>(in, blocks, out);
      return true;
    case ElementType::kIQ4_NL:
      decode_all<decode_iq4_nl, kSmall, 18>(in, blocks, out);
      return true;
    case ElementType::kQ2_K:
      decode_all<decode_q2_k, kLarge, 84>(in, blocks, out);
      return true;
    case ElementType::kQ3_K:
      decode_all<decode_q3_k, kLarge, 110>(in, blocks, out);
      return true;
    case ElementType::kQ4_K:
      decode_all<decode_q4_k, kLarge, 144>(in, blocks, out);
      return true;
    case ElementType::kQ5_K:
      decode_all<decode_q5_k, kLarge, 176>(in, blocks, out);
      return true;
    case ElementType::kQ6_K:
      decode_all<decode_q6_k, kLarge, 210>(in, blocks, out);
      return true;
    case ElementType::kIQ4_XS:
      decode_all<decode_iq4_xs, kLarge, 136>(in, blocks, out);
      return true;
    default:
      return false;
  }
}

}  // namespace selfalign::formats
