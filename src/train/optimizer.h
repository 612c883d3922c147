// SPDX-License-Identifier: Apache-2.0
// The trained numbers and how a step changes them. All of them lie in one
// float32 vector, as do their gradients and the two Adam moments: a step is a
// few passes over four vectors, and a checkpoint is those vectors.
#pragma once

#include <string>
#include <vector>

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

// Tensors that are views into one vector and which autograd writes gradients
// for, into views of another.
class Parameters {
 public:
  virtual ~Parameters() = default;
  Parameters(const Parameters&) = delete;
  Parameters& operator=(const Parameters&) = delete;

  // The model that computes with the values as they are. What is computed with
  // gradients leads to gradients().
  virtual model::Weights weights() const = 0;
  virtual const model::Lora* lora() const = 0;  // null: none
  virtual std::string digest() const = 0;       // of the values

  // [num_values] float32. Each tensor starts at a multiple of 64 bytes; what
  // lies between is zero and stays zero.
  const at::Tensor& values() const { return values_; }
  const at::Tensor& gradients() const { return gradients_; }
  // The first of the values are those of matrices, which alone decay: norms
  // and biases are no weights of AdamW's weight decay, as in transformers.
  int64_t num_decayed() const { return num_decayed_; }

 protected:
  Parameters() = default;
  // Puts leaves with the same values in place of the tensors.
  void adopt(const std::vector<at::Tensor*>& matrices,
             const std::vector<at::Tensor*>& vectors, at::Device device);

 private:
  at::Tensor values_;
  at::Tensor gradients_;
  int64_t num_decayed_ = 0;
};

// The matrices of an adapter beside a frozen base, which must outlive it.
class LoraParameters final : public Parameters {
 public:
  // Takes the values of `initial`.
  LoraParameters(const model::Weights& base, const model::Lora& initial);

  model::Weights weights() const override { return base_; }
  const model::Lora* lora() const override { return &lora_; }
  std::string digest() const override { return model::lora_digest(lora_); }

 private:
  const model::Weights& base_;
  model::Lora lora_;
};

// Of a model's values, all in memory, as float32.
std::string weights_digest(const model::Weights& weights);

// All weights of a model in float32, rounded to its type for each computation.
class WeightParameters final : public Parameters {
 public:
  // Takes the values of `initial`, which is in memory.
  explicit WeightParameters(const model::Weights& initial);

  model::Weights weights() const override;
  const model::Lora* lora() const override { return nullptr; }
  std::string digest() const override { return weights_digest(masters_); }

 private:
  model::Weights masters_;
  at::ScalarType dtype_;
};

// AdamW: Loshchilov and Hutter 2019, "Decoupled Weight Decay Regularization",
// algorithm 2, with the bias correction of Kingma and Ba 2015; the update of
// torch.optim.AdamW.
class AdamW {
 public:
  AdamW(const TrainOptions& options, const at::Tensor& like,
        int64_t num_decayed);

  // values -= learning_rate * update; gradients are read only.
  void step(const at::Tensor& values, const at::Tensor& gradients,
            double learning_rate);

  const at::Tensor& first_moment() const { return first_; }
  const at::Tensor& second_moment() const { return second_; }
  int64_t num_steps() const { return num_steps_; }
  void set_num_steps(int64_t num_steps) { num_steps_ = num_steps; }

 private:
  double beta1_, beta2_, epsilon_, weight_decay_;
  int64_t num_decayed_;
  at::Tensor first_, second_;  // [num_values] float32
  int64_t num_steps_ = 0;
};

// Scales the gradients so that their Euclidean norm is at most max_norm (0: no
// limit). Returns the norm before.
double clip_gradients(const at::Tensor& gradients, double max_norm);

}  // namespace selfalign::train
