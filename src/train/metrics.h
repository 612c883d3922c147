// SPDX-License-Identifier: Apache-2.0
// What a training reports per step: lines of metrics.jsonl and TensorBoard
// curves (loss, grad_norm, learning_rate, tokens_per_s, validation_loss) of the
// same figures.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/own_file.h"
#include "formats/tensorboard.h"

namespace selfalign::train {

struct StepMetrics {
  int64_t step = 0;        // 1 after the first optimizer step
  int epoch = 0;           // 0, 1, ...
  double loss = 0.0;       // mean over the step's response tokens
  double grad_norm = 0.0;  // before clipping
  double learning_rate = 0.0;
  int64_t num_tokens = 0;  // input tokens of the step
  double tokens_per_s = 0.0;
  std::optional<double> validation_loss;  // after the last step of an epoch
};

// A line of metrics.jsonl; Error kInput where it is none, a member that is
// missing included but the epoch.
StepMetrics metrics_from_line(const std::string& line,
                              const std::string& where);

class MetricsLog {
 public:
  // Opens folder/metrics.jsonl and folder/tensorboard. Lines of steps after
  // `last_step` are of work that a crash undid: they are dropped, and the
  // TensorBoard events are written anew from those that stay.
  MetricsLog(const std::string& folder, int64_t last_step);
  void append(const StepMetrics& metrics);

 private:
  void curves(const StepMetrics& metrics);

  std::unique_ptr<OwnFile> lines_;
  std::unique_ptr<formats::TensorBoardWriter> tensorboard_;
};

}  // namespace selfalign::train
