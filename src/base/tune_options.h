// SPDX-License-Identifier: Apache-2.0
// How a LoRA adapter is tuned: for recipe, command line and trainer.
#pragma once

#include <cstdint>

#include "base/settings.h"

namespace selfalign {

// Defaults: the paper's appendix on hyper-parameters.
struct TuneOptions {
  int64_t rank = 16;
  double alpha = 16.0;
  double dropout = 0.05;
  int epochs = 1;
  int batch_size = 768;
  int max_length = 512;
  double learning_rate = 4e-4;
  int warmup_steps = 100;
  double weight_decay = 0.0;
  double max_grad_norm = 1.0;
  int checkpoint_steps = 10;
  uint64_t seed = 0;

  static void describe(auto& visit, auto& tune) {
    visit({"rank", "Rank of the LoRA matrices."}, tune.rank, ranges::kRank);
    visit({"alpha", "The update of the weights is scaled by alpha/rank."},
          tune.alpha, ranges::kAlpha);
    visit({"dropout", "Dropout on the input of the LoRA branch."}, tune.dropout,
          Range<double>{0.0, 0.99});
    visit({"epochs", "Passes over the samples."}, tune.epochs,
          Range<int>{1, 10000});
    visit({"batch_size", "Samples of an optimizer step.", "samples"},
          tune.batch_size, Range<int>{1, 1 << 20});
    visit(
        {"max_length",
         "Tokens of a sample, at most; what is longer is truncated.", "tokens"},
        tune.max_length, Range<int>{2, 1 << 20});
    visit({"learning_rate", "Learning rate after the warm-up."},
          tune.learning_rate, Range<double>{1e-12, 10.0});
    visit({"warmup_steps",
           "Steps of logarithmic warm-up; the rate then falls linearly to 0.",
           "steps"},
          tune.warmup_steps, Range<int>{0, 100'000'000});
    visit({"weight_decay", "Weight decay of AdamW."}, tune.weight_decay,
          Range<double>{0.0, 10.0});
    visit({"max_grad_norm", "Gradients are clipped to this norm; 0: never."},
          tune.max_grad_norm, Range<double>{0.0, 1e9});
    visit({"checkpoint_steps", "Optimizer steps between checkpoints.", "steps"},
          tune.checkpoint_steps, Range<int>{1, 100'000'000});
    visit({"seed", "Decides the order of samples, dropout and first weights."},
          tune.seed, AnyValue());
  }
};

}  // namespace selfalign
