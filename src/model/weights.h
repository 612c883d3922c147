// SPDX-License-Identifier: Apache-2.0
// A model's weights, of any family that formats::ModelConfig describes. The big
// matrices need not be in memory: a kernel that packs them reads each from the
// mapped file when it is its turn, so that they are held once.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "formats/hf_names.h"
#include "formats/model_config.h"
#include "model/aten.h"
#include "model/lora.h"
#include "model/rounding.h"

namespace selfalign::model {

struct Norm {
  at::Tensor weight;  // undefined: no norm here
  at::Tensor bias;    // undefined: none
};

// All projections are [out, in], as in HF files. What is undefined the model
// does not have.
struct LayerWeights {
  Norm input_norm;        // [hidden], of what attention reads
  at::Tensor q, k, v, o;  // q [heads*head_dim, hidden], o its transpose
  at::Tensor q_bias, k_bias, v_bias, o_bias;
  Norm q_norm, k_norm;        // [head_dim], or [heads*head_dim] (QkNorm)
  Norm attention_norm;        // [hidden], of what attention gives
  Norm mlp_norm;              // [hidden], of what the MLP reads
  at::Tensor gate, up, down;  // gate, up [intermediate, hidden]
  at::Tensor gate_bias, up_bias, down_bias;
  Norm mlp_out_norm;  // [hidden], of what the MLP gives
};

inline constexpr at::Tensor LayerWeights::*kProjections[] = {
    &LayerWeights::q,   &LayerWeights::k,    &LayerWeights::v,
    &LayerWeights::o,   &LayerWeights::gate, &LayerWeights::up,
    &LayerWeights::down};
inline constexpr at::Tensor LayerWeights::*kBiases[] = {
    &LayerWeights::q_bias,   &LayerWeights::k_bias,    &LayerWeights::v_bias,
    &LayerWeights::o_bias,   &LayerWeights::gate_bias, &LayerWeights::up_bias,
    &LayerWeights::down_bias};

// Where matrices that are not in memory come from. Any thread.
class WeightSource {
 public:
  virtual ~WeightSource() = default;
  // [out, in] in the weights' type, a new tensor.
  virtual at::Tensor projection(int64_t layer,
                                formats::Projection which) const = 0;
  virtual at::Tensor embedding() const = 0;
  virtual at::Tensor head() const = 0;  // of a model that is not tied

  // Whether its projections are multiplied by multiply() in a training.
  virtual bool multiplies() const { return false; }
  // Products of x, [tokens, in], with projections that all read x: of each
  // [tokens, out], without its bias, in x's type; with a backward pass to x,
  // for which the source must still be there.
  virtual std::vector<at::Tensor> multiply(
      int64_t layer, const std::vector<formats::Projection>& which,
      const at::Tensor& x) const;
};

// Norms and biases are in memory. Projections, embedding and head are either
// all there or all meta tensors, which have a shape, a type and an identity (by
// which packed weights are found again) but no values: projection(),
// embedding_values() and head_values() read those from `source`.
struct Weights {
  formats::ModelConfig config;
  at::Tensor embedding;  // [vocab, hidden]; in training perhaps float32
  std::vector<LayerWeights> layers;
  Norm final_norm;     // [hidden]
  at::Tensor head;     // [vocab, hidden]; the embedding itself where tied
  std::string digest;  // of the model file's tensors and configuration
  Rounding rounding = Rounding::kNone;  // of what is packed for generation
  std::shared_ptr<const WeightSource> source;
  // Added to what the source gives, in this order.
  std::vector<std::shared_ptr<const Lora>> adapters;

  bool is_held() const { return source == nullptr; }
  // Whether layer() costs nothing.
  bool keeps_layers() const { return is_held() || source->multiplies(); }
  at::Device device() const {
    return is_held() ? embedding.device() : at::Device(at::kCPU);
  }
  at::ScalarType dtype() const { return final_norm.weight.scalar_type(); }

  // With their values; undefined where the model has none.
  at::Tensor projection(int64_t layer, formats::Projection which) const;
  at::Tensor embedding_values() const;
  at::Tensor head_values() const;
  // A layer with all projections, but for those of a source that multiplies.
  LayerWeights layer(int64_t layer) const;
};

// What `weights` stand for with all matrices in memory, in their type, or
// rounded as weights.rounding says, from which each layer is computed when it
// is its turn: the frozen base of a training.
Weights held_weights(const Weights& weights);

// Adds scale * B A to the projections of `weights` (in float32, then rounded
// to its dtype); new tensors, so weights shared with others stay as they were.
void merge_lora(Weights& weights, const Lora& lora);

}  // namespace selfalign::model
