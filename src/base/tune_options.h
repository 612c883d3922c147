// SPDX-License-Identifier: Apache-2.0
// How a model is tuned: for recipe, command line and trainer.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

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
  std::vector<std::string> target_modules = {"q_proj", "k_proj", "v_proj",
                                             "o_proj"};
  bool use_rslora = false;
  std::map<std::string, int64_t> rank_pattern;
  std::map<std::string, double> alpha_pattern;
  std::string lr_scheduler = "linear";
  int64_t pack_tokens = 1024;
  bool gradient_checkpointing = false;
  double validation_share = 0.0;
  std::string method = "lora";

  bool is_full() const { return method == "full"; }
  // Keys without effect in a full tuning.
  static bool is_of_lora(std::string_view key) {
    key = key.substr(0, key.find('.'));  // a pattern's entry
    for (const std::string_view of :
         {"rank", "alpha", "dropout", "target_modules", "use_rslora",
          "rank_pattern", "alpha_pattern"}) {
      if (key == of) return true;
    }
    return false;
  }
  // Of a tuning's folder, where its result lies: a PEFT adapter or an HF model.
  const char* result_folder() const { return is_full() ? "model" : "adapter"; }

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
           "Steps of warm-up, logarithmic before a linear fall, else linear.",
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
    describe_later(visit, tune);
  }

  // What came after runs had been made: it is part of a tuning's digest only
  // where it is other than the default, so that they keep the digests they
  // have.
  static void describe_later(auto& visit, auto& tune) {
    const TuneOptions plain;
    const std::vector<std::string> modules = {
        "q_proj",    "k_proj",  "v_proj",   "o_proj",
        "gate_proj", "up_proj", "down_proj"};
    std::vector<std::string> targets = modules;
    targets.emplace_back("all-linear");
    if (visit.later(tune.target_modules != plain.target_modules)) {
      visit({"target_modules",
             "Linear layers that get LoRA matrices; all-linear: all of a "
             "block. Where the family fuses some (qkv_proj), naming one trains "
             "the whole."},
            tune.target_modules, SomeOf{targets});
    }
    if (visit.later(tune.use_rslora)) {
      visit({"use_rslora",
             "Scale the update by alpha/sqrt(rank) in place of alpha/rank."},
            tune.use_rslora, AnyValue());
    }
    if (visit.later(!tune.rank_pattern.empty())) {
      visit({"rank_pattern", "Other ranks of some target modules."},
            tune.rank_pattern, NumberOf<int64_t>{modules, ranges::kRank});
    }
    if (visit.later(!tune.alpha_pattern.empty())) {
      visit({"alpha_pattern", "Other alphas of some target modules."},
            tune.alpha_pattern, NumberOf<double>{modules, ranges::kAlpha});
    }
    if (visit.later(tune.lr_scheduler != plain.lr_scheduler)) {
      visit({"lr_scheduler",
             "How the learning rate goes on after the warm-up: falling to 0 "
             "linearly or as half a cosine, or constant."},
            tune.lr_scheduler, OneOf{{"linear", "cosine", "constant"}});
    }
    if (visit.later(tune.pack_tokens != plain.pack_tokens)) {
      visit({"pack_tokens",
             "Tokens of one forward and backward pass, about; fewer take less "
             "memory.",
             "tokens"},
            tune.pack_tokens, Range<int64_t>{1, 1 << 24});
    }
    if (visit.later(tune.gradient_checkpointing)) {
      visit({"gradient_checkpointing",
             "Keep one layer's intermediate values at a time and compute them "
             "anew in the backward pass: less memory, a third more time, the "
             "same result."},
            tune.gradient_checkpointing, AnyValue());
    }
    if (visit.later(tune.validation_share != 0.0)) {
      visit({"validation_share",
             "Share of the samples that are not trained on; their loss is "
             "reported before and after."},
            tune.validation_share, Range<double>{0.0, 0.5});
    }
    if (visit.later(tune.is_full())) {
      visit({"method",
             "What is trained: a LoRA adapter beside the frozen base, or all "
             "of the base's weights (full), for which learning rates of some "
             "1e-5 are usual; rank, alpha, dropout and target modules are "
             "LoRA's alone."},
            tune.method, OneOf{{"lora", "full"}});
    }
  }
};

}  // namespace selfalign
