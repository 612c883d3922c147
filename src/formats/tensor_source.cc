// SPDX-License-Identifier: Apache-2.0
#include "formats/tensor_source.h"

#include <unordered_set>

#include "base/error.h"

namespace selfalign::formats {
namespace {

struct Layout {
  const char* name;
  uint64_t block;  // elements in a block
  uint64_t bytes;  // bytes of a block
};

// In the order of ElementType.
constexpr Layout kLayouts[] = {
    {"F32", 1, 4},      {"F16", 1, 2},        {"BF16", 1, 2},
    {"F64", 1, 8},      {"I64", 1, 8},        {"I32", 1, 4},
    {"U8", 1, 1},       {"BOOL", 1, 1},       {"Q4_0", 32, 18},
    {"Q4_1", 32, 20},   {"Q5_0", 32, 22},     {"Q5_1", 32, 24},
    {"Q8_0", 32, 34},   {"Q2_K", 256, 84},    {"Q3_K", 256, 110},
    {"Q4_K", 256, 144}, {"Q5_K", 256, 176},   {"Q6_K", 256, 210},
    {"IQ4_NL", 32, 18}, {"IQ4_XS", 256, 136},
};

const Layout& layout(ElementType type) {
  return kLayouts[static_cast<size_t>(type)];
}

}  // namespace

const char* element_type_name(ElementType type) { return layout(type).name; }
int64_t block_size(ElementType type) {
  return static_cast<int64_t>(layout(type).block);
}

std::optional<uint64_t> storage_bytes(ElementType type,
                                      const std::vector<int64_t>& shape) {
  const Layout& kind = layout(type);
  uint64_t elements = 1;
  for (int64_t size : shape) {
    if (size < 0 || __builtin_mul_overflow(
                        elements, static_cast<uint64_t>(size), &elements)) {
      return std::nullopt;
    }
  }
  const uint64_t row = shape.empty() ? 1 : static_cast<uint64_t>(shape.back());
  if (row % kind.block != 0) return std::nullopt;
  uint64_t bytes = 0;
  if (__builtin_mul_overflow(elements / kind.block, kind.bytes, &bytes) ||
      elements > uint64_t{INT64_MAX} || bytes > uint64_t{INT64_MAX}) {
    return std::nullopt;
  }
  return bytes;
}

int64_t TensorView::num_elements() const {
  int64_t elements = 1;
  for (int64_t size : shape) elements *= size;
  return elements;
}

void require_names_once(const std::vector<TensorView>& tensors,
                        const std::string& where) {
  std::unordered_set<std::string> seen;
  for (const TensorView& tensor : tensors) {
    if (seen.insert(tensor.name).second) continue;
    throw Error(ErrorKind::kInput,
                str(where, ": tensor ", tensor.name,
                    " stands twice, under this name and another; remove one"));
  }
}

const TensorView* TensorSource::find(const std::string& name) const {
  for (const TensorView& tensor : tensors()) {
    if (tensor.name == name) return &tensor;
  }
  return nullptr;
}

}  // namespace selfalign::formats
