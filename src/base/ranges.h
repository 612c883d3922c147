// What each setting may be, said once for all places that read it: recipe,
// command line, server and the parts that work by it.
#pragma once

#include <array>
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
inline constexpr std::array kDevices{"auto", "cpu", "cuda"};
inline constexpr std::array kDtypes{"auto", "float32", "bfloat16"};
inline constexpr Range<int> kNumSlots{1, 4096};
inline constexpr Range<int> kMaxContext{2, 1 << 24};

// LoRA tuning. A learning rate of 0 would learn nothing.
inline constexpr Range<int64_t> kRank{1, 4096};
inline constexpr Range<double> kAlpha{1e-6, 1e6};
inline constexpr Range<double> kDropout{0.0, 0.99};
inline constexpr Range<int> kEpochs{1, 10000};
inline constexpr Range<int> kBatchSize{1, 1 << 20};
inline constexpr Range<int> kMaxLength{2, 1 << 20};
inline constexpr Range<double> kLearningRate{1e-12, 10.0};
inline constexpr Range<int> kWarmupSteps{0, 100'000'000};
inline constexpr Range<double> kWeightDecay{0.0, 10.0};
inline constexpr Range<double> kMaxGradNorm{0.0, 1e9};
inline constexpr Range<int> kCheckpointSteps{1, 100'000'000};

// Items that an evaluation draws; 0 takes all.
inline constexpr Range<int64_t> kNumDrawn{0, int64_t{1} << 40};

// Overlap with evaluation sets.
inline constexpr Range<int> kNgramWords{3, 1000};
inline constexpr Range<double> kRougeL{0.0, 1.0};

}  // namespace ranges
}  // namespace selfalign
