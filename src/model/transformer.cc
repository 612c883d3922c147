// SPDX-License-Identifier: Apache-2.0
#include "model/transformer.h"

#include <ATen/TensorOperators.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "base/error.h"

namespace selfalign::model {

using formats::Projection;

namespace {

// Peng et al. 2023 (YaRN), section 3.2: dimensions that turn often within the
// original context keep their frequency, those that turn less than once have
// it divided, between them it is blended.
void scale_yarn(const formats::RopeConfig& rope, int64_t rotary_dim,
                std::vector<double>& frequencies) {
  const auto dimension_of = [&](double num_turns) {
    return double(rotary_dim) *
           std::log(double(rope.original_positions) /
                    (num_turns * 2.0 * std::numbers::pi)) /
           (2.0 * std::log(rope.theta));
  };
  double low = dimension_of(rope.beta_fast);
  double high = dimension_of(rope.beta_slow);
  if (rope.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, double(rotary_dim - 1));
  if (low == high) high += 0.001;
  for (size_t i = 0; i < frequencies.size(); ++i) {
    const double share = std::clamp((double(i) - low) / (high - low), 0.0, 1.0);
    frequencies[i] =
        frequencies[i] * (1.0 - share) + frequencies[i] / rope.factor * share;
  }
}

// Long wavelengths are stretched, short ones kept, those between blended
// (the configuration of Llama 3.1).
double scale_llama3(const formats::RopeConfig& rope, double frequency) {
  const double wavelength = 2.0 * std::numbers::pi / frequency;
  const double original = double(rope.original_positions);
  const double low = rope.low_freq_factor, high = rope.high_freq_factor;
  if (wavelength > original / low) return frequency / rope.factor;
  if (wavelength < original / high) return frequency;
  const double smooth = (original / wavelength - low) / (high - low);
  return (1.0 - smooth) * frequency / rope.factor + smooth * frequency;
}

// Inverse frequencies of RoPE [rotary_dim / 2], scaled as the model was
// trained, for texts of up to `num_positions`.
std::vector<double> rope_frequencies(const formats::RopeConfig& rope,
                                     int64_t rotary_dim,
                                     int64_t num_positions) {
  const std::vector<double>& factors =
      rope.type == "longrope" && num_positions > rope.original_positions
          ? rope.long_factors
          : rope.factors;
  std::vector<double> frequencies;
  frequencies.reserve(size_t(rotary_dim / 2));
  for (int64_t i = 0; i < rotary_dim / 2; ++i) {
    double frequency =
        std::pow(rope.theta, -2.0 * double(i) / double(rotary_dim));
    if (rope.type == "linear") frequency /= rope.factor;
    if (rope.type == "llama3") frequency = scale_llama3(rope, frequency);
    if (!factors.empty()) frequency /= factors[size_t(i)];
    frequencies.push_back(frequency);
  }
  if (rope.type == "yarn") scale_yarn(rope, rotary_dim, frequencies);
  return frequencies;
}

RopeTable make_table(const formats::RopeConfig& rope, int64_t rotary_dim,
                     int64_t num_positions, at::Device device) {
  const std::vector<double> frequencies =
      rope_frequencies(rope, rotary_dim, num_positions);
  const at::Tensor angles = at::outer(
      at::arange(num_positions, at::kDouble),
      at::tensor(frequencies, at::kDouble));  // [positions, rotary_dim / 2]
  const at::Tensor both = at::cat({angles, angles}, -1);
  const auto placed = [&](const at::Tensor& x) {
    const at::Tensor scaled =
        rope.attention_factor == 1.0 ? x : at::mul(x, rope.attention_factor);
    return scaled.to(at::kFloat).to(device);
  };
  return {placed(at::cos(both)), placed(at::sin(both))};
}

// 0 where a query sees a key, else minus infinity: [queries, keys], the queries
// being the last of the keys.
at::Tensor window_mask(int64_t queries, int64_t keys, int64_t window,
                       const at::TensorOptions& options) {
  const at::Tensor place =
      at::arange(keys - queries, keys, options.dtype(at::kLong)).unsqueeze(1);
  const at::Tensor key = at::arange(keys, options.dtype(at::kLong));
  at::Tensor hidden = key > place;
  if (window > 0) hidden = at::logical_or(hidden, place - key >= window);
  return at::zeros({queries, keys}, options.dtype(at::kFloat))
      .masked_fill(hidden, -std::numeric_limits<float>::infinity());
}

at::Tensor activate(formats::Activation activation, const at::Tensor& x) {
  switch (activation) {
    case formats::Activation::kSilu:
      return at::silu(x);
    case formats::Activation::kGelu:
      return at::gelu(x);
    case formats::Activation::kGeluTanh:
      return at::gelu(x, "tanh");
    case formats::Activation::kReluSquared:
      return at::square(at::relu(x));
  }
  SELFALIGN_CHECK(false, "activation of another kind");
}

// One forward pass over the blocks.
class Pass {
 public:
  Pass(const Weights& weights, const Rope& rope, const at::Tensor& positions,
       Attention& attention, const Tuning& tuning)
      : config_(weights.config),
        weights_(weights),
        attention_(attention),
        lora_(tuning.lora),
        dropout_(tuning.dropout) {
    if (tuning.operators != nullptr) operators_ = tuning.operators;
    const auto at_positions =
        [&positions](const RopeTable& table) -> RopeTable {
      if (!table.cos.defined()) return {};
      return {at::index_select(table.cos, 0, positions).unsqueeze(1),
              at::index_select(table.sin, 0, positions).unsqueeze(1)};
    };
    rope_ = {at_positions(rope.main), at_positions(rope.local)};
  }

  at::Tensor run(const at::Tensor& ids) {
    at::Tensor x = embed(ids);
    for (int64_t i = 0; i < config_.num_layers; ++i) x = block(i, x);
    return norm(x, weights_.final_norm);
  }

  void backward(
      const at::Tensor& ids,
      const std::function<at::Tensor(const at::Tensor&)>& gradient_of);

 private:
  using Form = formats::BlockForm;

  at::Tensor embed(const at::Tensor& ids) const {
    at::Tensor x =  // [tokens, hidden]
        at::embedding(weights_.embedding, ids).to(weights_.dtype());
    if (config_.embedding_scale == 1.0) return x;
    // Rounded to the weights' type, as the models were trained.
    return at::mul(x, at::scalar_tensor(config_.embedding_scale, x.options()));
  }

  at::Tensor norm(const at::Tensor& x, const Norm& norm) const {
    if (!norm.weight.defined()) return x;
    const int64_t size = x.size(-1);
    switch (config_.norm) {
      case formats::NormKind::kRms:
        return operators_->rms_norm(x, norm.weight, config_.norm_eps);
      case formats::NormKind::kRmsPlusOne:
        return operators_
            ->rms_norm(x.to(at::kFloat), norm.weight.to(at::kFloat) + 1.0,
                       config_.norm_eps)
            .to(x.scalar_type());
      case formats::NormKind::kLayer:
        return at::layer_norm(x, {size}, norm.weight, norm.bias,
                              config_.norm_eps);
    }
    SELFALIGN_CHECK(false, "norm of another kind");
  }

  // Projections of x, [tokens, out].
  std::vector<at::Tensor> project(int64_t i, const LayerWeights& w,
                                  const std::vector<Projection>& which,
                                  const at::Tensor& x) {
    const bool multiplies =
        weights_.source != nullptr && weights_.source->multiplies();
    std::vector<at::Tensor> products;
    if (multiplies) products = weights_.source->multiply(i, which, x);
    for (size_t at = 0; at < which.size(); ++at) {
      const auto one = size_t(which[at]);
      const at::Tensor& bias = w.*kBiases[one];
      if (!multiplies) {
        products.push_back(at::linear(x, w.*kProjections[one], bias));
      } else if (bias.defined()) {
        products[at] = at::add(products[at], bias);
      }
      products[at] = with_pair(products[at], x, kLoraPairs[one]);
    }
    return products;
  }

  // A product with its low-rank pair beside it, while one is trained. The
  // pair's float32 masters are rounded to the activations' type for the
  // products and collect their gradients in float32.
  at::Tensor with_pair(at::Tensor y, const at::Tensor& x,
                       const LoraPair LoraLayer::*of) {
    if (pairs_ == nullptr || !(pairs_->*of).a.defined()) return y;
    const LoraPair& pair = pairs_->*of;
    // Projections of one module have one A and one draw of dropout.
    if (!pair.a.is_same(low_of_.a) || !x.is_same(low_of_.x)) {
      const at::Tensor dropped = dropout_ ? dropout_->apply(x) : x;
      low_of_ = {pair.a, x, at::linear(dropped, pair.a.to(x.scalar_type()))};
    }
    // In place: no backward pass needs the product.
    return y.addmm_(low_of_.low, pair.b.to(x.scalar_type()).t(), 1, pair.scale);
  }

  // Queries or keys [tokens, heads * head_dim] by head, after their norm.
  at::Tensor heads(const at::Tensor& x, const Norm& by, int64_t count) const {
    const std::vector<int64_t> shape = {x.size(0), count, config_.head_dim};
    switch (config_.qk_norm) {
      case formats::QkNorm::kNone:
        return x.view(shape);
      case formats::QkNorm::kHead:
        return norm(x.view(shape), by);
      case formats::QkNorm::kAllHeads:
        return norm(x, by).view(shape);
      case formats::QkNorm::kEachHead:
        return at::mul(at::layer_norm(x.view(shape), {config_.head_dim}, {}, {},
                                      config_.norm_eps),
                       by.weight.view({count, config_.head_dim}));
    }
    SELFALIGN_CHECK(false, "norm of another kind");
  }

  at::Tensor attend(int64_t i, const LayerWeights& w, const at::Tensor& h) {
    using enum Projection;
    const std::vector<at::Tensor> qkv = project(i, w, {kQ, kK, kV}, h);
    at::Tensor q = heads(qkv[0], w.q_norm, config_.num_heads);
    at::Tensor k = heads(qkv[1], w.k_norm, config_.num_kv_heads);
    const at::Tensor v =
        qkv[2].view({h.size(0), config_.num_kv_heads, config_.head_dim});
    if (const RopeTable* rope = rope_.of(config_, i)) {
      q = operators_->rotate(q, rope->cos, rope->sin);
      k = operators_->rotate(k, rope->cos, rope->sin);
    }
    const at::Tensor seen = attention_.attend(i, q, k, v);
    const at::Tensor out = project(
        i, w, {kO},
        seen.reshape({h.size(0), config_.num_heads * config_.head_dim}))[0];
    return norm(out, w.attention_norm);
  }

  at::Tensor mlp(int64_t i, const LayerWeights& w, const at::Tensor& m) {
    using enum Projection;
    at::Tensor inner;
    if (config_.gated) {
      const std::vector<at::Tensor> both = project(i, w, {kUp, kGate}, m);
      inner = operators_->gate(config_.activation, both[1], both[0]);
    } else {
      inner = activate(config_.activation, project(i, w, {kUp}, m)[0]);
    }
    return norm(project(i, w, {kDown}, inner)[0], w.mlp_out_norm);
  }

  at::Tensor add(const at::Tensor& x, const at::Tensor& y) const {
    return at::add(x, y, config_.residual_scale);
  }

  // BlockForm, in the order its drawings have.
  at::Tensor block(int64_t i, const at::Tensor& x) {
    const LayerWeights w = weights_.layer(i);
    pairs_ = lora_ ? &lora_->layers[size_t(i)] : nullptr;
    const at::Tensor h = norm(x, w.input_norm);
    const at::Tensor attended = add(x, attend(i, w, h));
    if (config_.block == Form::kParallel) {
      return add(attended, mlp(i, w, norm(x, w.mlp_norm)));
    }
    if (config_.block == Form::kParallelOneNorm) {
      return add(attended, mlp(i, w, h));
    }
    return add(attended, mlp(i, w, norm(attended, w.mlp_norm)));
  }

  const formats::ModelConfig& config_;
  const Weights& weights_;
  Attention& attention_;
  const Operators plain_;
  const Operators* operators_ = &plain_;
  const Lora* lora_;
  const LoraLayer* pairs_ = nullptr;  // of the block at work
  struct {
    at::Tensor a, x, low;
  } low_of_;  // the last product with an A
  LoraDropout* dropout_;
  Rope rope_;  // at the tokens' positions
};

void Pass::backward(
    const at::Tensor& ids,
    const std::function<at::Tensor(const at::Tensor&)>& gradient_of) {
  std::vector<at::Tensor> inputs, dropouts;  // of each layer
  at::Tensor x;
  {
    const at::NoGradGuard no_graph;
    x = embed(ids);
    for (int64_t i = 0; i < config_.num_layers; ++i) {
      inputs.push_back(x);
      if (dropout_) dropouts.push_back(dropout_->state());
      x = block(i, x);
    }
  }
  const auto leaf = [](const at::Tensor& of) {
    return of.detach().set_requires_grad(true);
  };
  at::Tensor input = leaf(x);
  at::Tensor output = norm(input, weights_.final_norm);
  output.backward(gradient_of(output));
  for (int64_t i = config_.num_layers - 1; i >= 0; --i) {
    const at::Tensor gradient = input.grad();
    input = leaf(inputs.back());
    inputs.pop_back();
    if (dropout_) dropout_->set_state(dropouts[size_t(i)]);
    low_of_ = {};
    output = block(i, input);
    output.backward(gradient);
  }
  if (weights_.embedding.requires_grad()) embed(ids).backward(input.grad());
}

// Softmax of the scores, [heads, queries, keys], times the values; for what no
// fused kernel computes. q [heads, queries, head_dim] stand for the last
// `queries` of the keys, k and v [heads, keys, head_dim]; each sees itself and
// those before it within the layer's window.
at::Tensor attend_by_products(const formats::ModelConfig& config, int64_t layer,
                              const at::Tensor& q, const at::Tensor& k,
                              const at::Tensor& v) {
  const int64_t group = q.size(0) / k.size(0);
  const auto each_head = [group](const at::Tensor& x) {
    return group == 1 ? x : x.repeat_interleave(group, 0);
  };
  at::Tensor scores =
      at::mul(at::matmul(q, each_head(k).transpose(-1, -2)).to(at::kFloat),
              config.score_scale());
  if (config.attention_softcap != 0.0) {
    scores = at::mul(at::tanh(at::div(scores, config.attention_softcap)),
                     config.attention_softcap);
  }
  scores = at::add(scores, window_mask(q.size(1), k.size(1),
                                       config.window_of(layer), q.options()));
  return at::matmul(at::softmax(scores, -1).to(q.scalar_type()), each_head(v));
}

}  // namespace

at::Tensor Operators::rms_norm(const at::Tensor& x, const at::Tensor& weight,
                               double eps) const {
  return at::rms_norm(x, {x.size(-1)}, weight, eps);
}

at::Tensor Operators::rotate(const at::Tensor& x, const at::Tensor& cos,
                             const at::Tensor& sin) const {
  const int64_t rotary_dim = cos.size(-1), half = rotary_dim / 2;
  const at::Tensor f = x.narrow(-1, 0, rotary_dim).to(at::kFloat);
  const at::Tensor turned =
      at::cat({f.slice(-1, half).neg(), f.slice(-1, 0, half)}, -1);
  at::Tensor rotated =
      at::add(at::mul(f, cos), at::mul(turned, sin)).to(x.scalar_type());
  if (rotary_dim == x.size(-1)) return rotated;
  return at::cat({rotated, x.slice(-1, rotary_dim)}, -1);
}

at::Tensor Operators::gate(formats::Activation activation,
                           const at::Tensor& gate, const at::Tensor& up) const {
  return at::mul(activate(activation, gate), up);
}

at::Tensor CausalAttention::attend(int64_t layer, const at::Tensor& q,
                                   const at::Tensor& k, const at::Tensor& v) {
  const std::vector<int64_t> whole = {q.size(0)};
  std::vector<at::Tensor> parts;
  int64_t begin = 0;
  for (int64_t length : segments_.empty() ? whole : segments_) {
    const auto by_head = [&](const at::Tensor& x) {
      return x.slice(0, begin, begin + length).transpose(0, 1);
    };  // [heads, length, head_dim]
    const int64_t window = config_.window_of(layer);
    const bool plain =
        config_.attention_softcap == 0.0 && (window == 0 || window >= length);
    const at::Tensor out =
        plain ? at::scaled_dot_product_attention(
                    by_head(q).unsqueeze(0), by_head(k).unsqueeze(0),
                    by_head(v).unsqueeze(0), /*attn_mask=*/{},
                    /*dropout_p=*/0.0, /*is_causal=*/true,
                    /*scale=*/config_.score_scale(),
                    /*enable_gqa=*/q.size(1) != k.size(1))
                    .squeeze(0)
              : attend_by_products(config_, layer, by_head(q), by_head(k),
                                   by_head(v));
    parts.push_back(out.transpose(0, 1));
    begin += length;
  }
  SELFALIGN_CHECK(begin == q.size(0), "segments cover ", begin, " of ",
                  q.size(0), " tokens");
  return parts.size() == 1 ? parts[0] : at::cat(parts, 0);
}

const RopeTable* Rope::of(const formats::ModelConfig& config,
                          int64_t layer) const {
  const formats::RopeConfig* rope = config.rope_of(layer);
  if (rope == nullptr) return nullptr;
  return rope == &config.local_rope ? &local : &main;
}

Rope make_rope(const formats::ModelConfig& config, int64_t num_positions,
               at::Device device) {
  Rope rope;
  rope.main = make_table(config.rope, config.rotary_dim, num_positions, device);
  if (config.local_rope.theta != 0.0) {
    rope.local =
        make_table(config.local_rope, config.rotary_dim, num_positions, device);
  }
  return rope;
}

at::Tensor hidden_states(const Weights& weights, const Rope& rope,
                         const at::Tensor& ids, const at::Tensor& positions,
                         Attention& attention, const Tuning& tuning) {
  return Pass(weights, rope, positions, attention, tuning).run(ids);
}

void backward_by_layers(
    const Weights& weights, const Rope& rope, const at::Tensor& ids,
    const at::Tensor& positions, Attention& attention, const Tuning& tuning,
    const std::function<at::Tensor(const at::Tensor& hidden)>& gradient) {
  Pass(weights, rope, positions, attention, tuning).backward(ids, gradient);
}

at::Tensor logits(const Weights& weights, const at::Tensor& hidden) {
  const formats::ModelConfig& config = weights.config;
  at::Tensor y = at::linear(hidden, weights.head);
  if (config.logit_scale != 1.0) y = at::mul(y, config.logit_scale);
  if (config.logit_softcap == 0.0) return y;
  return at::mul(at::tanh(at::div(y, config.logit_softcap)),
                 config.logit_softcap);
}

}  // namespace selfalign::model
