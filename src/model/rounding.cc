// SPDX-License-Identifier: Apache-2.0
#include "model/rounding.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace selfalign::model {
namespace {

constexpr struct {
  Rounding rounding;
  const char* name;
} kNames[] = {{Rounding::kNone, "full"},
              {Rounding::kInt8, "int8"},
              {Rounding::kInt4, "int4"},
              {Rounding::kW8a8, "w8a8"}};

}  // namespace

Rounding rounding_named(const std::string& name) {
  for (const auto& one : kNames) {
    if (name == one.name) return one.rounding;
  }
  throw Error(
      ErrorKind::kUsage,
      selfalign::str("weights: expected full, int8, int4 or w8a8, found '",
                     name, "'; use full"));
}

std::string describe(Rounding rounding) {
  if (rounding == Rounding::kNone) return "";
  return selfalign::str(", weights ", kNames[int(rounding)].name);
}

double bits_per_weight(Rounding rounding, at::ScalarType dtype) {
  constexpr double kScaleBits = 16.0 / kRoundingGroup;
  switch (rounding) {
    case Rounding::kNone:
      return 8.0 * double(at::elementSize(dtype));
    case Rounding::kInt8:
      return 8.0 + kScaleBits;
    case Rounding::kInt4:
      return 4.0 + kScaleBits;
    case Rounding::kW8a8:
      return 8.0;  // and a scale a row
  }
  return 0.0;
}

void round_row(const float* row, int64_t n, Rounding rounding, int8_t* codes,
               uint16_t* scales) {
  const bool is_int8 = rounding == Rounding::kInt8;
  const float low = is_int8 ? -127.0f : -8.0f, high = is_int8 ? 127.0f : 7.0f;
  for (int64_t begin = 0; begin < n; begin += kRoundingGroup) {
    const int64_t end = std::min(n, begin + kRoundingGroup);
    float largest = 0.0f;  // by size, with its sign
    for (int64_t i = begin; i < end; ++i) {
      if (std::fabs(row[i]) > std::fabs(largest)) largest = row[i];
    }
    const uint16_t scale =
        to_bfloat16(is_int8 ? std::fabs(largest) / 127.0f : largest / -8.0f);
    const float step = from_bfloat16(scale);
    scales[begin / kRoundingGroup] = scale;
    for (int64_t i = begin; i < end; ++i) {
      const float code = step == 0.0f ? 0.0f : std::nearbyint(row[i] / step);
      codes[i] = int8_t(std::clamp(code, low, high));
    }
  }
}

float round_whole_row(const float* row, int64_t n, int8_t* codes) {
  constexpr float kLeast = 1e-30f;
  float largest = 0.0f;
  for (int64_t i = 0; i < n; ++i) {
    largest = std::max(largest, std::fabs(row[i]));
  }
  const float scale = largest < kLeast ? 0.0f : largest / 127.0f;
  for (int64_t i = 0; i < n; ++i) {
    const float code = std::nearbyint(row[i] / scale);
    codes[i] =
        std::fabs(code) <= 127.0f ? static_cast<int8_t>(code) : int8_t{0};
  }
  return scale;
}

RoundedMatrix::RoundedMatrix(const at::Tensor& matrix, Rounding rounding)
    : columns_(matrix.size(1)), is_packed_(rounding == Rounding::kInt4) {
  const int64_t rows = matrix.size(0);
  const int64_t groups = (columns_ + kRoundingGroup - 1) / kRoundingGroup;
  const int64_t width = groups * kRoundingGroup;
  codes_ = at::zeros({rows, is_packed_ ? width / 2 : width}, at::kChar);
  scales_ = at::zeros({rows, groups}, at::kBFloat16);
  auto* const all_codes = static_cast<int8_t*>(codes_.data_ptr());
  auto* const all_scales = static_cast<uint16_t*>(scales_.data_ptr());
  at::parallel_for(0, rows, 16, [&](int64_t first, int64_t last) {
    std::vector<int8_t> codes(static_cast<size_t>(width));
    for (int64_t row = first; row < last; ++row) {
      const at::Tensor one = matrix[row].to(at::kFloat).contiguous();
      round_row(one.const_data_ptr<float>(), columns_, rounding, codes.data(),
                all_scales + row * groups);
      if (!is_packed_) {
        std::copy(codes.begin(), codes.end(), all_codes + row * width);
        continue;
      }
      for (int64_t i = 0; i < width / 2; ++i) {
        all_codes[row * width / 2 + i] =
            int8_t((codes[size_t(2 * i)] & 15) |
                   ((codes[size_t(2 * i + 1)] & 15) << 4));
      }
    }
  });
}

at::Tensor RoundedMatrix::values(at::ScalarType dtype) const {
  const int64_t rows = codes_.size(0), groups = scales_.size(1);
  at::Tensor out = at::empty({rows, columns_}, dtype);
  const auto* const all_codes =
      static_cast<const int8_t*>(codes_.const_data_ptr());
  const auto* const all_scales =
      static_cast<const uint16_t*>(scales_.const_data_ptr());
  auto* const floats =
      dtype == at::kFloat ? static_cast<float*>(out.data_ptr()) : nullptr;
  auto* const halves = static_cast<uint16_t*>(out.data_ptr());
  const int64_t width = codes_.size(1);
  at::parallel_for(0, rows, 16, [&](int64_t first, int64_t last) {
    for (int64_t row = first; row < last; ++row) {
      const int8_t* const codes = all_codes + row * width;
      for (int64_t i = 0; i < columns_; ++i) {
        int8_t code = codes[is_packed_ ? i / 2 : i];
        if (is_packed_) {
          // The sign of the low or the high half of the byte.
          code = int8_t((i % 2 == 0 ? int8_t(uint8_t(code) << 4) : code) >> 4);
        }
        const float value =
            float(code) *
            from_bfloat16(all_scales[row * groups + i / kRoundingGroup]);
        const int64_t at = row * columns_ + i;
        if (floats != nullptr) {
          floats[at] = value;
        } else {
          halves[at] = to_bfloat16(value);
        }
      }
    }
  });
  return out;
}

}  // namespace selfalign::model
