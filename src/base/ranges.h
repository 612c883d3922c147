// SPDX-License-Identifier: Apache-2.0
// What a setting may be that several places read: recipe, command line, server
// and the parts that work by it. Others are where they are described
// (settings.h).
#pragma once

#include <cstdint>

namespace selfalign {

template <typename Number>
struct Range {
  Number low;
  Number high;  // included, as `low` is
  // False for what is not a number, too.
  constexpr bool holds(Number value) const {
    return value >= low && value <= high;
  }
};

namespace ranges {

// Sampling (generate/generator.h).
inline constexpr Range<double> kTemperature{0.0, 100.0};
inline constexpr Range<double> kTopP{1e-6, 1.0};
inline constexpr Range<int> kMaxNewTokens{1, 1 << 20};
inline constexpr Range<double> kRepetitionPenalty{0.01, 100.0};
inline constexpr Range<double> kNgramPenalty{-100.0, 100.0};

// How a model is run.
inline constexpr Range<int> kNumSlots{1, 4096};
inline constexpr Range<int> kNumEngines{0, 64};  // 0: as there is room
inline constexpr Range<int> kMaxContext{2, 1 << 24};

// LoRA, of a tuning and of adapters from elsewhere.
inline constexpr Range<int64_t> kRank{1, 4096};
inline constexpr Range<double> kAlpha{1e-6, 1e6};

// Items that an evaluation draws; 0 takes all.
inline constexpr Range<int64_t> kNumDrawn{0, int64_t{1} << 40};

// Overlap with evaluation sets.
inline constexpr Range<int> kNgramWords{3, 1000};
inline constexpr Range<double> kRougeL{0.0, 1.0};

}  // namespace ranges
}  // namespace selfalign
