// SPDX-License-Identifier: Apache-2.0
#include "engine/aten_attention.h"

#include <ATen/TensorIndexing.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/log.h>
#include <ATen/ops/maximum.h>

#include <algorithm>
#include <limits>
#include <map>

#include "base/error.h"

// How it works. Attention to a set of keys is an output and a log-sum-exp, and
// two such parts make the one of both sets. A part here is a page of a row's
// own text (256 keys), or the prefix.
//
//   slots  each slab that has pages of these rows, in one call: page p of it is
//          asked by the row that owns it; then each row's parts are added up,
//          page by page of its text
//   text   the text's pages one after the other, asked by all rows of the pass
//
// Invariant: a row's bits depend on its own text. Every call that computes has
// sizes that depend on options (and prefix) alone, so that the library picks
// the same kernels: a slab has a fixed number of pages, a page a fixed number
// of keys, and of those that nobody may see nothing is taken. How many slabs
// and how many parts there are depends on who is in the pass, and changes
// nothing: a row's parts stand in the order of its text, and to the parts that
// only longer rows have it adds one with weight exp(-1e30 - m) = 0 and output
// 0, which is an addition of +0 to sums that began at +0.
//
// Cost of a step: keys and values of the slabs in use are read once, where
// they lie.

namespace selfalign::engine {
namespace {

// Of keys none of which is seen: no weight beside any other.
constexpr double kNothing = -1e30;

// Output and log-sum-exp of attention over a part of the keys, both float32:
// out [n, kv_heads, queries, head_dim], lse [n, kv_heads, queries, 1].
struct Part {
  at::Tensor out, lse;
};

// Softmax over all keys from the softmax over each part of them.
Part joined(const std::vector<Part>& parts) {
  at::Tensor most = parts[0].lse;
  for (size_t j = 1; j < parts.size(); ++j) {
    most = at::maximum(most, parts[j].lse);
  }
  at::Tensor out = at::zeros_like(parts[0].out);
  at::Tensor weights = at::zeros_like(most);
  for (const Part& part : parts) {
    const at::Tensor weight = at::exp(part.lse - most);
    out.add_(part.out * weight);
    weights.add_(weight);
  }
  return {out / weights, most + at::log(weights)};
}

// q [n, kv_heads, queries, head_dim]; keys, values [n, kv_heads, keys,
// head_dim]; mask [n, 1, queries, keys] float32, 0 or -infinity, or a shape
// that spreads to this.
Part attend_masked(const formats::ModelConfig& config, const at::Tensor& q,
                   const at::Tensor& keys, const at::Tensor& values,
                   const at::Tensor& mask) {
  at::Tensor scores = at::matmul(q, keys.transpose(-1, -2)).to(at::kFloat) *
                      config.score_scale();
  if (config.attention_softcap != 0.0) {
    scores =
        at::tanh(scores / config.attention_softcap) * config.attention_softcap;
  }
  scores = scores + mask;
  // A row whose window has left all these keys takes nothing of them.
  const at::Tensor lse =
      at::logsumexp(scores, -1, /*keepdim=*/true).clamp_min(kNothing);
  const at::Tensor weights = at::exp(scores - lse).to(values.scalar_type());
  return {at::matmul(weights, values).to(at::kFloat), lse};
}

// q [1, kv_heads, queries, head_dim] against all of one copy of a prefix, of
// which `mask`, if defined, hides some.
Part attend_prefix(const formats::ModelConfig& config, const at::Tensor& q,
                   const AtenPrefix& prefix, int64_t layer,
                   const at::Tensor& mask) {
  const at::Tensor keys = prefix.all_keys(layer);
  const at::Tensor values = prefix.all_values(layer);
  if (mask.defined() || config.attention_softcap != 0.0) {
    return attend_masked(
        config, q, keys, values,
        mask.defined() ? mask : at::zeros({1}, q.options().dtype(at::kFloat)));
  }
  const double scale = config.score_scale();
  if (!q.is_cuda()) {
    const auto [out, lse] = at::_scaled_dot_product_flash_attention_for_cpu(
        q, keys, values, /*dropout_p=*/0.0, /*is_causal=*/false,
        /*attn_mask=*/{}, scale);
    return {out.to(at::kFloat), lse.to(at::kFloat).unsqueeze(-1)};
  }
  // CUDA's flash attention knows 16-bit types and head sizes in steps of 8.
  if (q.scalar_type() == at::kFloat || q.size(-1) % 8 != 0) {
    return attend_masked(config, q, keys, values, at::zeros({1}, q.options()));
  }
  const auto result = at::_scaled_dot_product_flash_attention(
      q, keys, values, /*dropout_p=*/0.0, /*is_causal=*/false,
      /*return_debug_mask=*/false, scale);
  const at::Tensor& lse = std::get<1>(result);  // may be padded at the end
  return {std::get<0>(result).to(at::kFloat),
          lse.slice(-1, 0, q.size(2)).to(at::kFloat).unsqueeze(-1)};
}

// 0 or, where `hidden`, minus infinity.
at::Tensor mask_of(const at::Tensor& hidden) {
  return at::zeros(hidden.sizes(), hidden.options().dtype(at::kFloat))
      .masked_fill(hidden, -std::numeric_limits<float>::infinity());
}

at::Tensor on_device(const std::vector<int64_t>& numbers, at::Device device) {
  return at::tensor(numbers, at::kLong).to(device);
}

class PassAttention : public model::Attention {
 public:
  at::Tensor attend(int64_t layer, const at::Tensor& q, const at::Tensor& k,
                    const at::Tensor& v) override {
    const int64_t kv_heads = k.size(1), head_dim = k.size(2);
    const int64_t group = q.size(1) / kv_heads;
    const int64_t rows = q.size(0), each = rows / texts_;
    store(layer, k, v);
    // [rows, heads, d] -> [texts, kv_heads, group * each, d]
    const at::Tensor own_q =
        q.view({texts_, each, kv_heads, group, head_dim})
            .permute({0, 2, 3, 1, 4})
            .reshape({texts_, kv_heads, group * each, head_dim});
    std::vector<Part> parts = attend_own(layer, own_q, group);
    if (prefix_ != nullptr) {
      // All queries of a key-value head beside each other, whoever asks.
      const at::Tensor all_q =
          own_q.transpose(0, 1).reshape({1, kv_heads, rows * group, head_dim});
      const int64_t window = config_.window_of(layer);
      const at::Tensor hidden =
          window == 0 ? at::Tensor()
                      : by_group(prefix_mask(window), texts_, group)
                            .reshape({1, 1, rows * group, prefix_->length()});
      const Part shared =
          attend_prefix(config_, all_q, *prefix_, layer, hidden);
      const auto by_text = [&](const at::Tensor& x) {
        return x.view({kv_heads, texts_, group * each, x.size(-1)})
            .transpose(0, 1);
      };
      parts.push_back({by_text(shared.out), by_text(shared.lse)});
    }
    // Back to [rows, heads, d] in q's type.
    return joined(parts)
        .out.view({texts_, kv_heads, group, each, head_dim})
        .permute({0, 3, 1, 2, 4})
        .reshape({rows, kv_heads * group, head_dim})
        .to(q.scalar_type());
  }

 protected:
  // visible: own keys that each row of the pass sees.
  PassAttention(const formats::ModelConfig& config, const AtenPrefix* prefix,
                int64_t texts, const std::vector<int64_t>& visible,
                at::Device device)
      : config_(config),
        prefix_(prefix),
        texts_(texts),
        visible_(on_device(visible, device).unsqueeze(-1)) {}

  virtual void store(int64_t layer, const at::Tensor& k,
                     const at::Tensor& v) = 0;
  // q [texts, kv_heads, queries, head_dim] against its own text, in parts in
  // the order of the text.
  virtual std::vector<Part> attend_own(int64_t layer, const at::Tensor& q,
                                       int64_t group) = 0;

  // [rows, keys] -> [texts, 1, group * each, keys]
  static at::Tensor by_group(const at::Tensor& mask, int64_t texts,
                             int64_t group) {
    return mask.view({texts, 1, mask.size(0) / texts, mask.size(-1)})
        .repeat({1, 1, group, 1});
  }
  // Which keys of a page each row sees: [rows, kAtenPageKeys]. visible [rows,
  // 1] counts from the page's first key and may lie before or behind the page.
  static at::Tensor page_mask(const at::Tensor& visible, int64_t window) {
    const at::Tensor key = at::arange(kAtenPageKeys, visible.options());
    at::Tensor hidden = key >= visible;
    if (window > 0) hidden = at::logical_or(hidden, visible - key > window);
    return mask_of(hidden);
  }
  const at::Tensor& visible() const { return visible_; }
  const formats::ModelConfig& config() const { return config_; }

 private:
  // Which of the prefix's keys, [rows, length of the prefix].
  const at::Tensor& prefix_mask(int64_t window) {
    at::Tensor& mask = prefix_masks_[window];
    if (mask.defined()) return mask;
    const int64_t length = prefix_->length();
    const at::Tensor key = at::arange(length, visible_.options());
    return mask = mask_of(visible_ + length - key > window);
  }

  const formats::ModelConfig& config_;
  const AtenPrefix* prefix_;
  int64_t texts_;
  at::Tensor visible_;                          // [rows, 1]
  std::map<int64_t, at::Tensor> prefix_masks_;  // by window
};

// One token of each slot.
class SlotsAttention : public PassAttention {
 public:
  SlotsAttention(const formats::ModelConfig& config, const AtenPool& pool,
                 const AtenPrefix* prefix, const std::vector<Span>& spans,
                 int64_t rows)
      : PassAttention(config, prefix, rows, seen_by(spans, rows),
                      pool.shape().options.device()),
        pool_(pool) {
    const int64_t width = pool.slab_pages();
    std::vector<Plan> plans(size_t(pool.num_slabs()));
    for (const Span& span : spans) {
      const auto& own = static_cast<const AtenRow&>(*span.own);
      const auto last = own.pages().at(size_t(own.length() / kAtenPageKeys));
      Plan& plan = plans[size_t(last.slab)];
      plan.rows.push_back(own.slot());
      plan.pages.push_back(last.page);
      plan.places.push_back(own.length() % kAtenPageKeys);
      for (size_t j = 0; j < own.pages().size(); ++j) {
        const AtenPage& page = own.pages()[j];
        Plan& of = plans[size_t(page.slab)];
        of.owners.resize(size_t(width), 0);
        of.visible.resize(size_t(width), 0);
        of.owners[size_t(page.page)] = own.slot();
        of.visible[size_t(page.page)] =
            own.length() + 1 - static_cast<int64_t>(j) * kAtenPageKeys;
      }
    }
    std::vector<int64_t> first(plans.size(), 0);  // part of each slab
    for (size_t i = 0; i < plans.size(); ++i) {
      if (plans[i].owners.empty()) continue;
      first[i] = static_cast<int64_t>(slabs_.size()) * width;
      slabs_.push_back(asked(plans[i], static_cast<int64_t>(i)));
    }
    choose_parts(spans, first);
  }

 protected:
  void store(int64_t layer, const at::Tensor& k, const at::Tensor& v) override {
    using at::indexing::Slice;
    for (const Asked& asked : slabs_) {
      if (!asked.rows.defined()) continue;
      const AtenSlab& slab = pool_.slab(asked.slab);
      // Indexed rows: [spans, kv_heads, head_dim].
      slab.keys[layer].index_put_({asked.pages, Slice(), asked.places},
                                  k.index_select(0, asked.rows));
      slab.values[layer].index_put_({asked.pages, Slice(), asked.places},
                                    v.index_select(0, asked.rows));
    }
  }

  std::vector<Part> attend_own(int64_t layer, const at::Tensor& q,
                               int64_t /*group*/) override {
    const int64_t window = config().window_of(layer);
    std::vector<at::Tensor> outs, lses;
    for (Asked& asked : slabs_) {
      const AtenSlab& slab = pool_.slab(asked.slab);
      at::Tensor& mask = asked.masks[window];
      if (!mask.defined()) {
        mask = page_mask(asked.visible, window).unsqueeze(1).unsqueeze(1);
      }
      Part part = attend_masked(config(), q.index_select(0, asked.owners),
                                slab.keys[layer], slab.values[layer], mask);
      outs.push_back(std::move(part.out));
      lses.push_back(std::move(part.lse));
    }
    // The part of rows that have no such page.
    outs.push_back(at::zeros_like(outs[0].slice(0, 0, 1)));
    lses.push_back(at::full_like(lses[0].slice(0, 0, 1), kNothing));
    const at::Tensor out = at::cat(outs), lse = at::cat(lses);
    std::vector<Part> parts;
    for (const at::Tensor& chosen : chosen_) {
      parts.push_back(
          {out.index_select(0, chosen), lse.index_select(0, chosen)});
    }
    return parts;
  }

 private:
  // What a pass asks of a slab and stores there.
  struct Plan {
    std::vector<int64_t> owners, visible;      // [pages]
    std::vector<int64_t> rows, pages, places;  // of new tokens
  };
  struct Asked {
    int64_t slab;
    at::Tensor owners;   // [pages], slots
    at::Tensor visible;  // [pages, 1], 0 where none of these rows has the page
    at::Tensor rows, pages, places;       // undefined: nothing is stored
    std::map<int64_t, at::Tensor> masks;  // by window
  };

  static std::vector<int64_t> seen_by(const std::vector<Span>& spans,
                                      int64_t rows) {
    std::vector<int64_t> visible(size_t(rows), 1);
    for (const Span& span : spans) {
      const auto& own = static_cast<const AtenRow&>(*span.own);
      visible[size_t(own.slot())] = own.length() + 1;
    }
    return visible;
  }

  Asked asked(const Plan& plan, int64_t slab) const {
    const at::Device device = visible().device();
    Asked asked{.slab = slab,
                .owners = on_device(plan.owners, device),
                .visible = on_device(plan.visible, device).unsqueeze(-1),
                .rows = {},
                .pages = {},
                .places = {},
                .masks = {}};
    if (plan.rows.empty()) return asked;
    asked.rows = on_device(plan.rows, device);
    asked.pages = on_device(plan.pages, device);
    asked.places = on_device(plan.places, device);
    return asked;
  }

  // For page j of each row's text its part, counted over all slabs.
  void choose_parts(const std::vector<Span>& spans,
                    const std::vector<int64_t>& first) {
    const int64_t none =
        static_cast<int64_t>(slabs_.size()) * pool_.slab_pages();
    std::vector<std::vector<int64_t>> chosen;
    for (const Span& span : spans) {
      const auto& own = static_cast<const AtenRow&>(*span.own);
      for (size_t j = 0; j < own.pages().size(); ++j) {
        if (j == chosen.size()) {
          chosen.emplace_back(size_t(visible().size(0)), none);
        }
        const AtenPage& page = own.pages()[j];
        chosen[j][size_t(own.slot())] = first[size_t(page.slab)] + page.page;
      }
    }
    for (const std::vector<int64_t>& parts : chosen) {
      chosen_.push_back(on_device(parts, visible().device()));
    }
  }

  const AtenPool& pool_;
  std::vector<Asked> slabs_;
  std::vector<at::Tensor> chosen_;  // [slots], by page of a text
};

// Tokens of one text.
class TextAttention : public PassAttention {
 public:
  TextAttention(const formats::ModelConfig& config, const AtenPrefix* prefix,
                const Span& span, int64_t rows, at::Device device)
      : PassAttention(config, prefix, 1, seen_by(span, rows), device),
        own_(static_cast<AtenSequence&>(*span.own)),
        count_(span.count) {}

 protected:
  void store(int64_t layer, const at::Tensor& k, const at::Tensor& v) override {
    own_.store(layer, own_.length(), k.slice(0, 0, count_),
               v.slice(0, 0, count_));
  }

  std::vector<Part> attend_own(int64_t layer, const at::Tensor& q,
                               int64_t group) override {
    const int64_t window = config().window_of(layer);
    std::vector<at::Tensor>& masks = masks_[window];
    std::vector<Part> parts;
    for (int64_t page = 0; page * kAtenPageKeys < own_.length() + count_;
         ++page) {
      if (static_cast<int64_t>(masks.size()) == page) {
        masks.push_back(by_group(
            page_mask(visible() - page * kAtenPageKeys, window), 1, group));
      }
      parts.push_back(attend_masked(
          config(), q, own_.keys(layer, page).contiguous(),
          own_.values(layer, page).contiguous(), masks[size_t(page)]));
    }
    return parts;
  }

 private:
  static std::vector<int64_t> seen_by(const Span& span, int64_t rows) {
    std::vector<int64_t> visible;
    for (int64_t i = 0; i < rows; ++i) {
      visible.push_back(span.own->length() + std::min(i + 1, span.count));
    }
    return visible;
  }

  AtenSequence& own_;
  int64_t count_;
  std::map<int64_t, std::vector<at::Tensor>> masks_;  // by window, page
};

}  // namespace

std::unique_ptr<model::Attention> attention_of_slots(
    const formats::ModelConfig& config, const AtenPool& pool,
    const AtenPrefix* prefix, const std::vector<Span>& spans, int64_t rows) {
  return std::make_unique<SlotsAttention>(config, pool, prefix, spans, rows);
}

std::unique_ptr<model::Attention> attention_of_text(
    const formats::ModelConfig& config, const AtenPrefix* prefix,
    const Span& span, int64_t rows, at::Device device) {
  return std::make_unique<TextAttention>(config, prefix, span, rows, device);
}

}  // namespace selfalign::engine
