// SPDX-License-Identifier: Apache-2.0
// A decoder in ATen calls, of any family that formats::ModelConfig describes:
// weights in memory and one forward pass that generation, scoring and training
// share. What differs between them, how tokens see earlier tokens, is an
// Attention given by the caller. Touvron et al. 2023 (LLaMA), section 2.2; Su
// et al. 2021 (RoPE); Ainslie et al. 2023 (grouped queries).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "formats/model_config.h"
#include "formats/peft.h"
#include "model/aten.h"

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

struct Weights {
  formats::ModelConfig config;
  at::Tensor embedding;  // [vocab, hidden]
  std::vector<LayerWeights> layers;
  Norm final_norm;     // [hidden]
  at::Tensor head;     // [vocab, hidden]; the embedding itself where tied
  std::string digest;  // of the model file's tensors and configuration

  at::Device device() const { return embedding.device(); }
  at::ScalarType dtype() const { return embedding.scalar_type(); }
};

// Reads an HF folder or GGUF file. Error kInput for what is wrong in it
// (missing tensor, shape other than the configuration says, a tensor that plays
// no part, an output beside tied embeddings, unsupported kind), kResources
// where memory does not suffice. The digest covers the tensors and every number
// of the configuration that their names and shapes do not tell.
Weights load_weights(const std::string& path, at::Device device,
                     at::ScalarType dtype);
// The same errors, without reading a tensor's values.
formats::ModelConfig check_weights(const std::string& path, at::Device device,
                                   at::ScalarType dtype);

// The low-rank pair of one projection: y += scale * dropout(x) A^T B^T.
// Hu et al. 2021 (LoRA), section 4.1. Projections that the family's files fuse
// to one module (formats/hf_names.h) have one A, the same tensor, and are rows
// of one B.
struct LoraPair {
  at::Tensor a;        // [rank, in], float32
  at::Tensor b;        // [out, rank], float32
  double scale = 1.0;  // alpha / rank, or alpha / sqrt(rank)
};
struct LoraLayer {
  LoraPair q, k, v, o, gate, up, down;  // undefined where not a target
};
struct Lora {
  std::vector<LoraLayer> layers;
  std::string note;  // for a person: what the adapter leaves out; or empty
};
// By formats::Projection.
inline constexpr LoraPair LoraLayer::*kLoraPairs[] = {
    &LoraLayer::q,    &LoraLayer::k,  &LoraLayer::v,   &LoraLayer::o,
    &LoraLayer::gate, &LoraLayer::up, &LoraLayer::down};
inline constexpr at::Tensor LayerWeights::*kProjections[] = {
    &LayerWeights::q,   &LayerWeights::k,    &LayerWeights::v,
    &LayerWeights::o,   &LayerWeights::gate, &LayerWeights::up,
    &LayerWeights::down};

// Drops elements of a LoRA branch's input while training; the draws are the
// caller's, so that a resumed training makes the same ones.
class LoraDropout {
 public:
  virtual ~LoraDropout() = default;
  virtual at::Tensor apply(const at::Tensor& x) = 0;  // same shape
  // From a state on, the same calls draw the same again.
  virtual at::Tensor state() const = 0;
  virtual void set_state(const at::Tensor& state) = 0;
};

// How queries see keys and values.
class Attention {
 public:
  virtual ~Attention() = default;
  // q [tokens, heads, head_dim], k and v [tokens, kv_heads, head_dim], rotary
  // positions applied; returns [tokens, heads, head_dim] in q's dtype, by the
  // configuration's scale, soft cap and the layer's window. Called for each
  // layer in order; by backward_by_layers() then once more, from the last.
  virtual at::Tensor attend(int64_t layer, const at::Tensor& q,
                            const at::Tensor& k, const at::Tensor& v) = 0;
};

// Tokens of one text that see themselves and all before them; for golden tests
// and short texts. segments: lengths of texts that lie one after another and
// do not see each other (packed samples); empty: one text.
class CausalAttention : public Attention {
 public:
  explicit CausalAttention(const formats::ModelConfig& config,
                           std::vector<int64_t> segments = {})
      : config_(config), segments_(std::move(segments)) {}
  at::Tensor attend(int64_t layer, const at::Tensor& q, const at::Tensor& k,
                    const at::Tensor& v) override;

 private:
  const formats::ModelConfig& config_;
  std::vector<int64_t> segments_;
};

// Cosines and sines of rotary positions, each [positions, rotary_dim] float32,
// HF's half-split layout, with the configuration's rope scaling.
struct RopeTable {
  at::Tensor cos, sin;
};
struct Rope {
  RopeTable main, local;  // `local` undefined where no layer has its own
  // nullptr: the layer does not rotate.
  const RopeTable* of(const formats::ModelConfig& config, int64_t layer) const;
};
// Up to `num_positions`, which decides longrope's factors.
Rope make_rope(const formats::ModelConfig& config, int64_t num_positions,
               at::Device device);

// ids, positions: [tokens] int64 on the weights' device. Returns the final
// hidden states after the last norm, [tokens, hidden]. `lora` and `dropout`
// may be null.
at::Tensor hidden_states(const Weights& weights, const Rope& rope,
                         const at::Tensor& ids, const at::Tensor& positions,
                         Attention& attention, const Lora* lora = nullptr,
                         LoraDropout* dropout = nullptr);

// Adds the gradients of `lora` where d loss / d hidden states is what
// `gradient` gives for them: hidden_states() and its backward pass with the
// graph of one layer at a time, all others being computed twice.
void backward_by_layers(
    const Weights& weights, const Rope& rope, const at::Tensor& ids,
    const at::Tensor& positions, Attention& attention, const Lora& lora,
    LoraDropout* dropout,
    const std::function<at::Tensor(const at::Tensor& hidden)>& gradient);

// hidden [n, hidden] -> logits [n, vocab], in the weights' dtype, scaled and
// capped as the configuration says.
at::Tensor logits(const Weights& weights, const at::Tensor& hidden);

// Adds scale * B A to the projections of `weights` (in float32, then rounded
// to its dtype); new tensors, so weights shared with others stay as they were.
void merge_lora(Weights& weights, const Lora& lora);

// The same for one tensor of a model's files, by LLaMA's name for it, which may
// be several projections fused: the number of those that the adapter changes.
// To `weight`, [out, in] float32 on the CPU, it adds them; null: only counts.
int64_t add_lora(const Lora& lora, const formats::ModelConfig& config,
                 const std::string& name, at::Tensor* weight);

// PEFT layout (formats/peft.h). `load_lora` checks every name and shape
// against the configuration (Error kInput). `save_lora` re-reads what it wrote;
// `settings` has what the tensors do not tell: alphas, dropout, base_model.
Lora load_lora(const std::string& folder, const formats::ModelConfig& config,
               at::Device device);
void save_lora(const std::string& folder, const Lora& lora,
               const formats::ModelConfig& config,
               formats::AdapterConfig settings);
// Digest of the adapter's values, in order of layers.
std::string lora_digest(const Lora& lora);

}  // namespace selfalign::model
