// SPDX-License-Identifier: Apache-2.0
// Tuning of the base model on conversations, by LoRA or of all its weights:
// loss on the answers alone, packing without attention across samples, AdamW on
// float32 masters, the paper's schedule (100 logarithmic warm-up steps, then
// linear decay), gradient accumulation, checkpoints that resume to the same
// bits.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "model/transformer.h"
#include "train/sample.h"
#include "train/train_options.h"

namespace selfalign::train {

// The losses are over the first 256 samples or 16,384 tokens, whichever is
// less, so that reporting stays a small part of the work.
struct TrainReport {
  int64_t num_steps = 0;
  int64_t num_tokens = 0;    // response tokens per epoch
  double loss_before = 0.0;  // mean over response tokens, base model
  double loss_after = 0.0;   // the same when tuned, dropout off
  std::string digest;        // of what was trained
  // The same of the samples that were held out, where some were.
  std::optional<double> validation_before, validation_after;
  std::string adopted_from;  // made by hand there; "": trained by who was asked
};

// Trains and leaves the PEFT adapter in folder/adapter, or calls save_model
// (Error kUsage where a full tuning's base is in codes). With a checkpoint in
// the folder it goes on from it, to the same bits as without the stop, and a
// finished training is only reported; a checkpoint of another model, options
// or samples is Error kDamaged. Checkpoints are written every checkpoint_steps
// and every five minutes. An interrupt writes one after the pack at work, in
// the middle of a step too, and throws kInterrupted. Samples that do not fit
// the model are Error kInput, settings out of range kUsage, and a loss or
// gradient that is not finite kFailed, before it reaches the adapter.
TrainReport train_model(const model::Weights& weights,
                        const std::vector<Sample>& samples,
                        const TrainOptions& options);

// Mean negative log-likelihood per response token; lora may be null.
double mean_loss(const model::Weights& weights, const model::Lora* lora,
                 const std::vector<Sample>& samples, int64_t pack_tokens);

// Learning rate of optimizer step i = 0, 1, ..., T-1 (T: num_steps) with W
// warm-up steps, as DeepSpeed's WarmupDecayLR has it for its iteration i: below
// W the rate times ln(i+1) / ln(W), then times (T-i) / max(1, T-W). So step 0
// has rate 0 and step W-1 already the whole. A single warm-up step counts as
// two, as there; with none there is no warm-up. Where T <= W it ends in the
// warm-up.
// That is lr_scheduler linear. The others are transformers': below W the rate
// times i / W, then cosine falls by (1 - cos(pi (T-i) / max(1, T-W))) / 2, and
// constant stays.
double learning_rate_at(const TrainOptions& options, int64_t step,
                        int64_t num_steps);

}  // namespace selfalign::train
