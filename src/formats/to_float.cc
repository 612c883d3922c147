// SPDX-License-Identifier: Apache-2.0
// Decoding to float32. Every loop has a fixed inner count and no branch, so
// that the compiler vectorises it; the inputs may lie at any alignment. The
// block layouts are ggml's (ggml-common.h): a half-precision scale d, for Q4_1
// also a minimum m, then 32 quantised values.
//   Q8_0: d, 32 signed bytes;              x = d q
//   Q4_0: d, 16 bytes of two values each;  x = d (q - 8)
//   Q4_1: d, m, 16 bytes as in Q4_0;       x = d q + m
// Byte i of a 4-bit block holds value i in its low half and value i + 16 in
// its high half.
#include <bit>
#include <cstring>

#include "base/error.h"
#include "formats/tensor_source.h"

namespace selfalign::formats {
namespace {

static_assert(std::endian::native == std::endian::little,
              "model files are little-endian");

constexpr int kBlock = 32;

template <typename T>
T load(const char* at) {
  T value;
  std::memcpy(&value, at, sizeof(T));
  return value;
}

// Exact for every half: normals move the exponent's bias from 15 to 127,
// infinity and NaN move it twice, subnormals are multiples of 2^-24.
inline float half_to_float(uint16_t half) {
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

void decode_f16(const char* in, int64_t count, float* out) {
  for (int64_t i = 0; i < count; ++i) {
    out[i] = half_to_float(load<uint16_t>(in + 2 * i));
  }
}

void decode_bf16(const char* in, int64_t count, float* out) {
  for (int64_t i = 0; i < count; ++i) {
    out[i] = std::bit_cast<float>(uint32_t{load<uint16_t>(in + 2 * i)} << 16);
  }
}

void decode_f64(const char* in, int64_t count, float* out) {
  for (int64_t i = 0; i < count; ++i) {
    out[i] = static_cast<float>(load<double>(in + 8 * i));
  }
}

void decode_q8_0(const char* in, int64_t blocks, float* out) {
  for (; blocks > 0; --blocks, in += 34, out += kBlock) {
    const float scale = half_to_float(load<uint16_t>(in));
    int8_t q[kBlock];
    std::memcpy(q, in + 2, sizeof(q));
    for (int i = 0; i < kBlock; ++i) out[i] = static_cast<float>(q[i]) * scale;
  }
}

void decode_q4_0(const char* in, int64_t blocks, float* out) {
  for (; blocks > 0; --blocks, in += 18, out += kBlock) {
    const float scale = half_to_float(load<uint16_t>(in));
    uint8_t q[kBlock / 2];
    std::memcpy(q, in + 2, sizeof(q));
    for (int i = 0; i < kBlock / 2; ++i) {
      out[i] = static_cast<float>((q[i] & 15) - 8) * scale;
      out[i + kBlock / 2] = static_cast<float>((q[i] >> 4) - 8) * scale;
    }
  }
}

void decode_q4_1(const char* in, int64_t blocks, float* out) {
  for (; blocks > 0; --blocks, in += 20, out += kBlock) {
    const float scale = half_to_float(load<uint16_t>(in));
    const float minimum = half_to_float(load<uint16_t>(in + 2));
    uint8_t q[kBlock / 2];
    std::memcpy(q, in + 4, sizeof(q));
    for (int i = 0; i < kBlock / 2; ++i) {
      out[i] = static_cast<float>(q[i] & 15) * scale + minimum;
      out[i + kBlock / 2] = static_cast<float>(q[i] >> 4) * scale + minimum;
    }
  }
}

}  // namespace

void to_float(const TensorView& tensor, float* out) {
  const int64_t count = tensor.num_elements();
  const char* in = tensor.bytes.data();
  SELFALIGN_CHECK(
      storage_bytes(tensor.type, tensor.shape) == tensor.bytes.size(),
      tensor.name);
  if (count == 0) return;
  switch (tensor.type) {
    case ElementType::kF32:
      std::memcpy(out, in, tensor.bytes.size());
      return;
    case ElementType::kF16:
      return decode_f16(in, count, out);
    case ElementType::kBF16:
      return decode_bf16(in, count, out);
    case ElementType::kF64:
      return decode_f64(in, count, out);
    case ElementType::kQ8_0:
      return decode_q8_0(in, count / kBlock, out);
    case ElementType::kQ4_0:
      return decode_q4_0(in, count / kBlock, out);
    case ElementType::kQ4_1:
      return decode_q4_1(in, count / kBlock, out);
    case ElementType::kI64:
    case ElementType::kI32:
    case ElementType::kU8:
      break;
  }
  throw Error(ErrorKind::kInput, str("tensor ", tensor.name,
                                     ": expected numbers with a fraction, "
                                     "found type ",
                                     element_type_name(tensor.type),
                                     "; integer weights are not supported"));
}

}  // namespace selfalign::formats
