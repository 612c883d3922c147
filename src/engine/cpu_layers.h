// SPDX-License-Identifier: Apache-2.0
// A model's weights as the CPU decoder computes with them: projections packed
// once (kernels.h) and shared between adapters (packed_cache.h), norms in
// float32.
#pragma once

#include <vector>

#include "engine/kernels.h"
#include "engine/packed_cache.h"
#include "model/transformer.h"

namespace selfalign::engine {

// A norm of formats::NormKind, as the kernels take it.
class PackedNorm {
 public:
  PackedNorm() = default;
  PackedNorm(const model::Norm& norm, const formats::ModelConfig& config);

  bool is_there() const { return !weight_.empty(); }
  // x -> out, `n` elements; with as many weights as n, from weight `first` on.
  template <typename T>
  void run(const ModelKernels<T>& set, const float* x, int64_t n, T* out,
           int64_t first = 0) const {
    const float* weight = weight_.data() + first;
    if (is_layer_norm_) {
      set.layer_norm(x, weight, bias_.empty() ? nullptr : bias_.data() + first,
                     n, eps_, out);
    } else {
      set.rms_norm(x, weight, n, eps_, out);
    }
  }

 private:
  std::vector<float> weight_, bias_;
  bool is_layer_norm_ = false;
  float eps_ = 0.0f;
};

template <typename T>
struct PackedLayer {
  PackedNorm input_norm, attention_norm, mlp_norm, mlp_out_norm;  // [hidden]
  PackedNorm q_norm, k_norm;
  SharedLinear<T> qkv;  // hidden -> (heads + 2 kv_heads) * head_dim
  SharedLinear<T> o;    // heads * head_dim -> hidden
  // hidden -> 2 * intermediate, gate and up in alternating blocks; or up alone
  SharedLinear<T> wide;
  SharedLinear<T> down;  // intermediate -> hidden
};

template <typename T>
PackedLayer<T> pack_layer(const model::Weights& weights, int64_t i) {
  using enum formats::Projection;
  const formats::ModelConfig& config = weights.config;
  const model::LayerWeights& w = weights.layers[static_cast<size_t>(i)];
  // The values of projections from `first` on.
  const auto from = [&weights, i](formats::Projection first) {
    return [&weights, i, first](size_t place) {
      const size_t which = static_cast<size_t>(first) + place;
      return weights.projection(i, static_cast<formats::Projection>(which));
    };
  };
  const Rounding rounding = weights.rounding;
  PackedLayer<T> layer;
  layer.input_norm = {w.input_norm, config};
  layer.attention_norm = {w.attention_norm, config};
  layer.mlp_norm = {w.mlp_norm, config};
  layer.mlp_out_norm = {w.mlp_out_norm, config};
  layer.q_norm = {w.q_norm, config};
  layer.k_norm = {w.k_norm, config};
  layer.qkv = shared_linear<T>({w.q, w.k, w.v}, from(kQ),
                               {w.q_bias, w.k_bias, w.v_bias}, rounding);
  layer.o = shared_linear<T>({w.o}, from(kO), {w.o_bias}, rounding);
  layer.wide = config.gated
                   ? shared_gated<T>(w.gate, w.up, from(kGate), w.gate_bias,
                                     w.up_bias, rounding)
                   : shared_linear<T>({w.up}, from(kUp), {w.up_bias}, rounding);
  layer.down = shared_linear<T>({w.down}, from(kDown), {w.down_bias}, rounding);
  return layer;
}

}  // namespace selfalign::engine
