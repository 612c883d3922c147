// SPDX-License-Identifier: Apache-2.0
// The trained numbers and how a step changes them. All LoRA matrices lie in
// one float32 vector, as do their gradients and the two Adam moments: a step is
// a few passes over four vectors, and a checkpoint is those vectors.
#pragma once

#include "formats/hf_names.h"
#include "formats/peft.h"
#include "model/transformer.h"
#include "train/train_options.h"

namespace selfalign::train {

// The options in PEFT's words.
formats::AdapterConfig adapter_config(const TrainOptions& options);

// A module that gets matrices, in the order of training.
struct LoraShape {
  int64_t layer;
  formats::LinearModule module;
  formats::ModuleSettings settings;
};
// By LLaMA's names of projections, whatever the family's are: a fused module is
// a target where one of its projections is named.
std::vector<LoraShape> lora_shapes(const formats::ModelConfig& config,
                                   const formats::AdapterConfig& adapter);

// A fresh adapter on the modules that options.target_modules names: A uniform
// in +-1/sqrt(in) as PEFT draws it (Kaiming with a = sqrt(5)), a pure function
// of the seed; B zero, so that training starts from the base model.
model::Lora init_lora(const formats::ModelConfig& config,
                      const TrainOptions& options);

// An adapter whose matrices are views into one vector and which autograd
// writes gradients for, into views of another.
class LoraParameters {
 public:
  // Takes the values of `initial`.
  LoraParameters(const model::Lora& initial, at::Device device);
  LoraParameters(const LoraParameters&) = delete;
  LoraParameters& operator=(const LoraParameters&) = delete;

  const model::Lora& lora() const { return lora_; }
  // [num_values] float32. Each matrix starts at a multiple of 64 bytes; what
  // lies between is zero and stays zero.
  const at::Tensor& values() const { return values_; }
  const at::Tensor& gradients() const { return gradients_; }

 private:
  model::Lora lora_;
  at::Tensor values_;
  at::Tensor gradients_;
};

// AdamW: Loshchilov and Hutter 2019, "Decoupled Weight Decay Regularization",
// algorithm 2, with the bias correction of Kingma and Ba 2015; the update of
// torch.optim.AdamW.
class AdamW {
 public:
  AdamW(const TrainOptions& options, const at::Tensor& like);

  // values -= learning_rate * update; gradients are read only.
  void step(const at::Tensor& values, const at::Tensor& gradients,
            double learning_rate);

  const at::Tensor& first_moment() const { return first_; }
  const at::Tensor& second_moment() const { return second_; }
  int64_t num_steps() const { return num_steps_; }
  void set_num_steps(int64_t num_steps) { num_steps_ = num_steps; }

 private:
  double beta1_, beta2_, epsilon_, weight_decay_;
  at::Tensor first_, second_;  // [num_values] float32
  int64_t num_steps_ = 0;
};

// Scales the gradients so that their Euclidean norm is at most max_norm (0: no
// limit). Returns the norm before.
double clip_gradients(const at::Tensor& gradients, double max_norm);

}  // namespace selfalign::train
