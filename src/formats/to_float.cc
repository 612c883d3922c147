// SPDX-License-Identifier: Apache-2.0
// Decoding to float32; the inputs may lie at any alignment.
#include <bit>
#include <cstring>

#include "base/error.h"
#include "formats/ggml_blocks.h"
#include "formats/tensor_source.h"

namespace selfalign::formats {
namespace {

static_assert(std::endian::native == std::endian::little,
              "model files are little-endian");

template <typename T>
T load(const char* at) {
  T value;
  std::memcpy(&value, at, sizeof(T));
  return value;
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
    default:
      break;
  }
  if (decode_blocks(tensor.type, in, count / block_size(tensor.type), out)) {
    return;
  }
  throw Error(ErrorKind::kInput, str("tensor ", tensor.name,
                                     ": expected numbers with a fraction, "
                                     "found type ",
                                     element_type_name(tensor.type),
                                     "; integer weights are not supported"));
}

}  // namespace selfalign::formats
