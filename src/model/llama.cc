// SPDX-License-Identifier: Apache-2.0
#include "model/llama.h"

#include <cmath>
#include <numbers>

namespace selfalign::model {
namespace {

// A projection, with its low-rank pair beside it while one is trained. The
// pair's float32 masters are rounded to the activations' type for the products
// and collect their gradients in float32.
at::Tensor project(const at::Tensor& x, const at::Tensor& weight,
                   const at::Tensor& bias, const LoraPair* pair, double scale,
                   LoraDropout* dropout) {
  at::Tensor y = at::linear(x, weight, bias);  // [tokens, out]
  if (pair == nullptr || !pair->a.defined()) return y;
  const at::Tensor dropped = dropout ? dropout->apply(x) : x;
  const at::Tensor low = at::linear(dropped, pair->a.to(x.scalar_type()));
  return at::add(y, at::linear(low, pair->b.to(x.scalar_type())), scale);
}

// Rotates the two halves of each head: (x1, x2) -> (x1 c - x2 s, x2 c + x1 s).
// x [tokens, heads, head_dim]; cos, sin [tokens, 1, head_dim] float32.
at::Tensor rotate(const at::Tensor& x, const at::Tensor& cos,
                  const at::Tensor& sin) {
  const int64_t half = x.size(-1) / 2;
  const at::Tensor f = x.to(at::kFloat);
  const at::Tensor turned =
      at::cat({f.slice(-1, half).neg(), f.slice(-1, 0, half)}, -1);
  return at::add(at::mul(f, cos), at::mul(turned, sin)).to(x.scalar_type());
}

// Inverse frequencies of RoPE [head_dim / 2], scaled as the model was trained.
std::vector<double> rope_frequencies(const formats::ModelConfig& config) {
  std::vector<double> frequencies;
  for (int64_t i = 0; i < config.head_dim / 2; ++i) {
    double frequency =
        std::pow(config.rope_theta, -2.0 * double(i) / double(config.head_dim));
    if (config.rope_type == "linear") {
      frequency /= config.rope_factor;
    } else if (config.rope_type == "llama3") {
      // Long wavelengths are stretched, short ones kept, those between blended
      // (the configuration of Llama 3.1).
      const double wavelength = 2.0 * std::numbers::pi / frequency;
      const double original = double(config.rope_original_positions);
      const double low = config.rope_low_freq_factor;
      const double high = config.rope_high_freq_factor;
      if (wavelength > original / low) {
        frequency /= config.rope_factor;
      } else if (wavelength >= original / high) {
        const double smooth = (original / wavelength - low) / (high - low);
        frequency = (1.0 - smooth) * frequency / config.rope_factor +
                    smooth * frequency;
      }
    }
    frequencies.push_back(frequency);
  }
  return frequencies;
}

}  // namespace

at::Tensor CausalAttention::attend(int64_t /*layer*/, const at::Tensor& q,
                                   const at::Tensor& k, const at::Tensor& v) {
  const auto batched = [](const at::Tensor& x, int64_t begin, int64_t length) {
    return x.slice(0, begin, begin + length).transpose(0, 1).unsqueeze(0);
  };  // [1, heads, length, head_dim]
  const std::vector<int64_t> whole = {q.size(0)};
  std::vector<at::Tensor> parts;
  int64_t begin = 0;
  for (int64_t length : segments_.empty() ? whole : segments_) {
    const at::Tensor out = at::scaled_dot_product_attention(
        batched(q, begin, length), batched(k, begin, length),
        batched(v, begin, length), /*attn_mask=*/{}, /*dropout_p=*/0.0,
        /*is_causal=*/true, /*scale=*/std::nullopt,
        /*enable_gqa=*/q.size(1) != k.size(1));
    parts.push_back(out.squeeze(0).transpose(0, 1));
    begin += length;
  }
  SELFALIGN_CHECK(begin == q.size(0), "segments cover ", begin, " of ",
                  q.size(0), " tokens");
  return parts.size() == 1 ? parts[0] : at::cat(parts, 0);
}

Rope make_rope(const formats::ModelConfig& config, int64_t num_positions,
               at::Device device) {
  const std::vector<double> frequencies = rope_frequencies(config);
  const at::Tensor angles = at::outer(
      at::arange(num_positions, at::kDouble),
      at::tensor(frequencies, at::kDouble));  // [positions, head_dim / 2]
  const at::Tensor both = at::cat({angles, angles}, -1);
  return {at::cos(both).to(at::kFloat).to(device),
          at::sin(both).to(at::kFloat).to(device)};
}

at::Tensor hidden_states(const Weights& weights, const Rope& rope,
                         const at::Tensor& ids, const at::Tensor& positions,
                         Attention& attention, const Lora* lora,
                         LoraDropout* dropout) {
  const formats::ModelConfig& config = weights.config;
  const int64_t tokens = ids.size(0);
  const int64_t head_dim = config.head_dim;
  const double scale = lora ? lora->scale : 0.0;
  const auto norm = [&](const at::Tensor& x, const at::Tensor& weight) {
    return at::rms_norm(x, {config.hidden_size}, weight, config.rms_norm_eps);
  };
  const at::Tensor cos = at::index_select(rope.cos, 0, positions).unsqueeze(1);
  const at::Tensor sin = at::index_select(rope.sin, 0, positions).unsqueeze(1);

  at::Tensor x = at::embedding(weights.embedding, ids);  // [tokens, hidden]
  for (int64_t i = 0; i < config.num_layers; ++i) {
    const LayerWeights& w = weights.layers[i];
    const LoraLayer* pairs = lora ? &lora->layers[i] : nullptr;

    const at::Tensor h = norm(x, w.input_norm);
    const at::Tensor q =
        project(h, w.q, w.q_bias, pairs ? &pairs->q : nullptr, scale, dropout)
            .view({tokens, config.num_heads, head_dim});
    const at::Tensor k =
        project(h, w.k, w.k_bias, pairs ? &pairs->k : nullptr, scale, dropout)
            .view({tokens, config.num_kv_heads, head_dim});
    const at::Tensor v =
        project(h, w.v, w.v_bias, pairs ? &pairs->v : nullptr, scale, dropout)
            .view({tokens, config.num_kv_heads, head_dim});
    const at::Tensor seen =
        attention.attend(i, rotate(q, cos, sin), rotate(k, cos, sin), v);
    x = at::add(
        x, project(seen.reshape({tokens, config.num_heads * head_dim}), w.o,
                   w.o_bias, pairs ? &pairs->o : nullptr, scale, dropout));

    const at::Tensor m = norm(x, w.post_norm);
    const at::Tensor gated =
        at::mul(at::silu(at::linear(m, w.gate)), at::linear(m, w.up));
    x = at::add(x, at::linear(gated, w.down));
  }
  return norm(x, weights.final_norm);
}

at::Tensor logits(const Weights& weights, const at::Tensor& hidden) {
  return at::linear(hidden, weights.head);
}

}  // namespace selfalign::model
