// SPDX-License-Identifier: Apache-2.0
#include "train/attention.h"

#include <algorithm>
#include <cmath>

namespace selfalign::train {
namespace {

// Queries of one product.
constexpr int64_t kBlockRows = 128;
// Above this many keys the probabilities, which backward needs, take too much
// memory; the fused kernel computes them again instead.
constexpr int64_t kMaxProductKeys = 1024;

}  // namespace

at::Tensor PackAttention::attend(int64_t layer, const at::Tensor& q,
                                 const at::Tensor& k, const at::Tensor& v) {
  const auto qs = q.split_with_sizes(segments_);
  const auto ks = k.split_with_sizes(segments_);
  const auto vs = v.split_with_sizes(segments_);
  at::Tensor shared_k, shared_v;
  if (shared_ > 0 && segments_.size() > 1) {
    shared_k = ks[0].narrow(0, 0, shared_);
    shared_v = vs[0].narrow(0, 0, shared_);
  }
  std::vector<at::Tensor> parts;
  for (size_t i = 0; i < segments_.size(); ++i) {
    const bool joined = i > 0 && shared_k.defined();
    const at::Tensor keys = joined ? at::cat({shared_k, ks[i]}) : ks[i];
    const at::Tensor values = joined ? at::cat({shared_v, vs[i]}) : vs[i];
    // What the fused kernel does not compute goes by products, too.
    const int64_t window = config_.window_of(layer);
    const bool by_products =
        (q.device().is_cpu() && keys.size(0) <= kMaxProductKeys) ||
        config_.attention_softcap != 0.0 ||
        (window > 0 && window < keys.size(0));
    parts.push_back(by_products ? products(layer, qs[i], keys, values)
                                : fused(qs[i], keys, values));
  }
  return at::cat(parts, 0);
}

at::Tensor PackAttention::products(int64_t layer, const at::Tensor& q,
                                   const at::Tensor& k, const at::Tensor& v) {
  const int64_t rows = q.size(0), heads = q.size(1), head_dim = q.size(2);
  const int64_t kv_heads = k.size(1), group = heads / kv_heads;
  const int64_t before = k.size(0) - rows;  // keys before the first query
  const double cap = config_.attention_softcap;
  const int64_t window = config_.window_of(layer);
  const at::Tensor scaled = at::mul(q, config_.score_scale());
  const at::Tensor keys = k.permute({1, 2, 0});  // [kv_heads, head_dim, keys]
  const at::Tensor values = v.transpose(0, 1);   // [kv_heads, keys, head_dim]
  std::vector<at::Tensor> parts;
  for (int64_t begin = 0; begin < rows; begin += kBlockRows) {
    const int64_t n = std::min(kBlockRows, rows - begin);
    const int64_t seen = before + begin + n;
    // The query heads of a KV head stand as rows of one product.
    const at::Tensor queries = scaled.narrow(0, begin, n)
                                   .view({n, kv_heads, group, head_dim})
                                   .transpose(0, 1)
                                   .reshape({kv_heads, n * group, head_dim});
    // [kv_heads, n * group, seen]
    at::Tensor scores = queries.bmm(keys.narrow(2, 0, seen));
    if (cap != 0.0) scores = at::mul(at::tanh(at::div(scores, cap)), cap);
    scores = at::add(scores, mask(n, group, seen, window, q.options()));
    const at::Tensor out =
        at::softmax(scores, -1).bmm(values.narrow(1, 0, seen));
    parts.push_back(out.view({kv_heads, n, group, head_dim})
                        .transpose(0, 1)
                        .reshape({n, heads, head_dim}));
  }
  return parts.size() == 1 ? parts[0] : at::cat(parts, 0);
}

at::Tensor PackAttention::fused(const at::Tensor& q, const at::Tensor& k,
                                const at::Tensor& v) const {
  // The kernel's causal mask wants as many queries as keys: the queries of the
  // shared tokens are filled in with zeros and what they see is dropped.
  const int64_t before = k.size(0) - q.size(0);
  at::Tensor queries = q;
  if (before > 0) {
    queries =
        at::cat({at::zeros({before, q.size(1), q.size(2)}, q.options()), q}, 0);
  }
  const auto batched = [](const at::Tensor& x) {
    return x.transpose(0, 1).unsqueeze(0);  // [1, heads, tokens, head_dim]
  };
  const at::Tensor out = at::scaled_dot_product_attention(
      batched(queries), batched(k), batched(v), /*attn_mask=*/{},
      /*dropout_p=*/0.0, /*is_causal=*/true, /*scale=*/config_.score_scale(),
      /*enable_gqa=*/q.size(1) != k.size(1));
  return out.squeeze(0).transpose(0, 1).narrow(0, before, q.size(0));
}

const at::Tensor& PackAttention::mask(int64_t rows, int64_t group, int64_t keys,
                                      int64_t window,
                                      const at::TensorOptions& options) {
  at::Tensor& found = masks_[{rows, keys, window}];
  if (!found.defined()) {
    const at::NoGradGuard no_graph;
    at::Tensor hidden =
        at::full({rows, keys}, -1e30, options).triu_(keys - rows + 1);
    if (window > 0) {
      hidden.add_(
          at::full({rows, keys}, -1e30, options).tril_(keys - rows - window));
    }
    found = hidden.unsqueeze(1)
                .expand({rows, group, keys})
                .reshape({rows * group, keys});
  }
  return found;
}

}  // namespace selfalign::train
