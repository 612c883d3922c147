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

#include "formats/model_config.h"
#include "model/aten.h"
#include "model/lora.h"
#include "model/weights.h"

namespace selfalign::model {

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

// What a pass computes with beside products and attention, by ATen; a training
// on CPUs has others (train/fused.h).
class Operators {
 public:
  virtual ~Operators() = default;
  // x / sqrt(mean(x^2) + eps) * weight along the last dimension, weight [n].
  virtual at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight,
                              double eps) const;
  // Rotates the two halves of the rotated part of each head:
  // (x1, x2) -> (x1 c - x2 s, x2 c + x1 s); the rest stays as it is.
  // x [tokens, heads, head_dim]; cos, sin [tokens, 1, rotary_dim] float32.
  virtual at::Tensor rotate(const at::Tensor& x, const at::Tensor& cos,
                            const at::Tensor& sin) const;
  // activation(gate) * up, of one shape.
  virtual at::Tensor gate(formats::Activation activation,
                          const at::Tensor& gate, const at::Tensor& up) const;
};

// What a training adds to a pass; each may be null.
struct Tuning {
  const Lora* lora = nullptr;
  LoraDropout* dropout = nullptr;
  const Operators* operators = nullptr;
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
// hidden states after the last norm, [tokens, hidden].
at::Tensor hidden_states(const Weights& weights, const Rope& rope,
                         const at::Tensor& ids, const at::Tensor& positions,
                         Attention& attention, const Tuning& tuning = {});

// Adds the gradients of tuning.lora, and of weights that have some,
// where d loss / d hidden states is what `gradient` gives for them:
// hidden_states() and its backward pass with the graph of one layer at a time,
// all others being computed twice.
void backward_by_layers(
    const Weights& weights, const Rope& rope, const at::Tensor& ids,
    const at::Tensor& positions, Attention& attention, const Tuning& tuning,
    const std::function<at::Tensor(const at::Tensor& hidden)>& gradient);

// hidden [n, hidden] -> logits [n, vocab], in the weights' dtype, scaled and
// capped as the configuration says.
at::Tensor logits(const Weights& weights, const at::Tensor& hidden);

}  // namespace selfalign::model
