// SPDX-License-Identifier: Apache-2.0
#include "formats/from_float.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "base/error.h"

namespace selfalign::formats {
namespace {

constexpr int64_t kBlock = 32;
constexpr uint16_t kHalfInfinity = 0x7c00;

template <typename T>
void store(T value, char* out) {
  std::memcpy(out, &value, sizeof(T));
}

uint16_t to_bf16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  if (std::isnan(value)) return uint16_t((bits >> 16) | 0x40u);
  return uint16_t((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

// Adding a number whose last place is the half's rounds as the half does: the
// float unit does it for the subnormal ones, whole numbers for the others.
uint16_t to_half(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const auto sign = uint16_t(bits >> 16 & 0x8000u);
  const uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return uint16_t(sign | 0x7e00u);  // not a number
  if (magnitude >= 0x477ff000u) return uint16_t(sign | kHalfInfinity);
  if (magnitude < 0x38800000u) {  // below the smallest normal half
    const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
    return uint16_t(sign | (std::bit_cast<uint32_t>(shifted) - 0x3f000000u));
  }
  const uint32_t rounded = magnitude + 0xfffu + (magnitude >> 13 & 1u);
  return uint16_t(sign | ((rounded - 0x38000000u) >> 13));
}

[[noreturn]] void refuse(const std::string& where, float value,
                         ElementType type, const char* advice) {
  throw Error(ErrorKind::kInput,
              str(where, ": expected numbers that ", element_type_name(type),
                  " can hold, found ", value, "; ", advice));
}

void encode_q8_0(const float* in, char* out) {
  float most = 0.0f;
  for (int64_t i = 0; i < kBlock; ++i) most = std::max(most, std::fabs(in[i]));
  const float scale = most / 127.0f;
  const float inverse = scale != 0.0f ? 1.0f / scale : 0.0f;
  store(to_half(scale), out);
  for (int64_t i = 0; i < kBlock; ++i) {
    out[2 + i] = char(int8_t(std::round(in[i] * inverse)));
  }
}

// The value of the largest size becomes -8. Rounded after the product and after
// the sum, as the reference does: no fused multiply-add.
void encode_q4_0(const float* in, char* out) {
  float most = 0.0f, extreme = 0.0f;
  for (int64_t i = 0; i < kBlock; ++i) {
    if (std::fabs(in[i]) <= most) continue;
    most = std::fabs(in[i]);
    extreme = in[i];
  }
  const float scale = extreme / -8.0f;
  const float inverse = scale != 0.0f ? 1.0f / scale : 0.0f;
  store(to_half(scale), out);
  const auto code = [inverse](float value) {
    const float product = value * inverse;
    return std::clamp(int(product + 8.5f), 0, 15);
  };
  for (int64_t i = 0; i < kBlock / 2; ++i) {
    out[2 + i] = char(code(in[i]) | code(in[i + kBlock / 2]) << 4);
  }
}

}  // namespace

bool can_encode(ElementType type) {
  return type == ElementType::kF32 || type == ElementType::kF16 ||
         type == ElementType::kBF16 || type == ElementType::kQ8_0 ||
         type == ElementType::kQ4_0;
}

std::string from_float(ElementType type, const float* values, int64_t count,
                       const std::string& where) {
  SELFALIGN_CHECK(can_encode(type), element_type_name(type));
  const auto bytes = storage_bytes(type, {count});
  SELFALIGN_CHECK(bytes.has_value(), where, " has ", count, " elements");
  std::string out(*bytes, '\0');
  if (type == ElementType::kF32) {
    std::memcpy(out.data(), values, out.size());
  } else if (type == ElementType::kBF16) {
    for (int64_t i = 0; i < count; ++i) {
      store(to_bf16(values[i]), &out[size_t(2 * i)]);
    }
  } else if (type == ElementType::kF16) {
    for (int64_t i = 0; i < count; ++i) {
      const uint16_t half = to_half(values[i]);
      if ((half & 0x7fff) == kHalfInfinity && std::isfinite(values[i])) {
        refuse(where, values[i], type, "use --type bf16 or f32");
      }
      store(half, &out[size_t(2 * i)]);
    }
  } else {
    const bool is_q8 = type == ElementType::kQ8_0;
    const auto block_bytes = int64_t(out.size()) / (count / kBlock);
    // The scale is a half.
    const float limit = 65504.0f * (is_q8 ? 127.0f : 8.0f);
    for (int64_t i = 0; i < count; ++i) {
      if (std::fabs(values[i]) < limit) continue;
      refuse(where, values[i], type, "use --type bf16 or f32");
    }
    for (int64_t i = 0; i < count / kBlock; ++i) {
      const auto encode = is_q8 ? encode_q8_0 : encode_q4_0;
      encode(values + i * kBlock, &out[size_t(i * block_bytes)]);
    }
  }
  return out;
}

}  // namespace selfalign::formats
