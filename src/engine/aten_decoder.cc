// SPDX-License-Identifier: Apache-2.0
// Every tensor of a pass has a size that depends on the options (and the
// prefix) alone: a pass over one token of each text has num_slots rows, row =
// slot; any other has prefill_chunk rows of one text. What is not there is
// padded and masked. So the library picks the same kernels whoever shares the
// pass, and a row's bits do not depend on its neighbours.
#include "engine/aten_decoder.h"

#include <ATen/TensorIndexing.h>
#include <ATen/TensorOperators.h>

#include <algorithm>
#include <limits>
#include <map>

#include "base/error.h"

namespace selfalign::engine {
namespace {

// Keys and values [layers, kv_heads, capacity, head_dim]: of a shared prefix
// tensors of its own, of a slot views of the slabs of all slots.
class AtenSequence : public Sequence {
 public:
  AtenSequence(at::Tensor all_keys, at::Tensor all_values, int64_t row,
               std::vector<bool>* slot_used)
      : keys(std::move(all_keys)),
        values(std::move(all_values)),
        slot(row),
        slot_used_(slot_used) {}
  ~AtenSequence() override {
    if (slot_used_ != nullptr) (*slot_used_)[slot] = false;
  }
  void truncate(int64_t length) override { length_ = length; }
  void append(int64_t count) { length_ += count; }
  int64_t capacity() const { return keys.size(2); }

  at::Tensor keys, values;
  int64_t slot;  // -1: shared

 private:
  std::vector<bool>* slot_used_;
};

// Output and log-sum-exp of attention over a part of the keys, both float32:
// out [n, kv_heads, queries, head_dim], lse [n, kv_heads, queries, 1].
struct Part {
  at::Tensor out, lse;
};

// Softmax over two sets of keys from the softmax over each.
at::Tensor merge(const Part& a, const Part& b) {
  const at::Tensor lse = at::logaddexp(a.lse, b.lse);
  return a.out * at::exp(a.lse - lse) + b.out * at::exp(b.lse - lse);
}

// q [n, kv_heads, queries, head_dim]; keys, values [n, kv_heads, capacity,
// head_dim]; mask [n, 1, queries, capacity] float32, 0 or -infinity.
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
      at::logsumexp(scores, -1, /*keepdim=*/true).clamp_min(-1e30);
  const at::Tensor weights = at::exp(scores - lse).to(values.scalar_type());
  return {at::matmul(weights, values).to(at::kFloat), lse};
}

// q [1, kv_heads, queries, head_dim] against all of one copy of a prefix, of
// which `mask`, if defined, hides some.
Part attend_prefix(const formats::ModelConfig& config, const at::Tensor& q,
                   const AtenSequence& prefix, int64_t layer,
                   const at::Tensor& mask) {
  const at::Tensor keys =
      prefix.keys[layer].slice(1, 0, prefix.length()).unsqueeze(0);
  const at::Tensor values =
      prefix.values[layer].slice(1, 0, prefix.length()).unsqueeze(0);
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

struct Slabs {
  at::Tensor keys, values;  // [slots, layers, kv_heads, capacity, head_dim]
};

class PassAttention : public model::Attention {
 public:
  // rows: of the pass; one text, or one token of each slot.
  PassAttention(const formats::ModelConfig& config, const Slabs& slabs,
                const AtenSequence* prefix, const std::vector<Span>& spans,
                int64_t rows, bool each_slot)
      : config_(config),
        slabs_(slabs),
        prefix_(prefix),
        rows_(rows),
        each_slot_(each_slot) {
    const at::Device device = slabs.keys.device();
    std::vector<int64_t> visible;  // own keys that each row sees
    if (each_slot_) {
      std::vector<int64_t> slots, pasts;
      visible.assign(rows, 1);
      for (const Span& span : spans) {
        const auto& own = static_cast<const AtenSequence&>(*span.own);
        slots.push_back(own.slot);
        pasts.push_back(own.length());
        visible[own.slot] = own.length() + 1;
      }
      slots_ = at::tensor(slots, at::kLong).to(device);
      pasts_ = at::tensor(pasts, at::kLong).to(device);
      capacity_ = slabs.keys.size(3);
    } else {
      own_ = static_cast<AtenSequence*>(spans[0].own);
      count_ = spans[0].count;
      capacity_ = own_->capacity();
      for (int64_t i = 0; i < rows; ++i) {
        visible.push_back(own_->length() + std::min(i + 1, count_));
      }
    }
    visible_ = at::tensor(visible, at::kLong).to(device).unsqueeze(-1);
  }

  at::Tensor attend(int64_t layer, const at::Tensor& q, const at::Tensor& k,
                    const at::Tensor& v) override {
    const int64_t kv_heads = k.size(1), head_dim = k.size(2);
    const int64_t group = q.size(1) / kv_heads;
    at::Tensor keys, values;  // [n, kv_heads, capacity, head_dim]
    store(layer, k, v, &keys, &values);
    const int64_t texts = each_slot_ ? rows_ : 1;
    const int64_t each = rows_ / texts;
    // [rows, heads, d] -> [texts, kv_heads, group * each, d]
    const at::Tensor own_q =
        q.view({texts, each, kv_heads, group, head_dim})
            .permute({0, 2, 3, 1, 4})
            .reshape({texts, kv_heads, group * each, head_dim});
    const int64_t window = config_.window_of(layer);
    const auto by_group = [&](const at::Tensor& mask) {  // [rows, keys]
      return mask.view({texts, 1, each, mask.size(-1)})
          .repeat({1, 1, group, 1});
    };
    Part own =
        attend_masked(config_, own_q, keys, values, by_group(own_mask(window)));
    if (prefix_ == nullptr) return to_rows(own.out, q, texts);
    // All queries of a key-value head beside each other, whoever asks.
    const at::Tensor all_q =
        own_q.transpose(0, 1).reshape({1, kv_heads, rows_ * group, head_dim});
    const at::Tensor hidden =
        window == 0 ? at::Tensor()
                    : by_group(prefix_mask(window))
                          .reshape({1, 1, rows_ * group, prefix_->length()});
    const Part shared = attend_prefix(config_, all_q, *prefix_, layer, hidden);
    const auto by_text = [&](const at::Tensor& x) {
      return x.view({kv_heads, texts, group * each, x.size(-1)})
          .transpose(0, 1);
    };
    return to_rows(merge({by_text(shared.out), by_text(shared.lse)}, own), q,
                   texts);
  }

 private:
  // 0 or, where `hidden`, minus infinity.
  static at::Tensor mask_of(const at::Tensor& hidden) {
    return at::zeros(hidden.sizes(), hidden.options().dtype(at::kFloat))
        .masked_fill(hidden, -std::numeric_limits<float>::infinity());
  }
  at::Tensor range(int64_t count) const {
    return at::arange(count, visible_.options());
  }

  // Which of its own text's keys each row sees, [rows, capacity].
  const at::Tensor& own_mask(int64_t window) {
    at::Tensor& mask = own_masks_[window];
    if (mask.defined()) return mask;
    const at::Tensor key = range(capacity_);
    at::Tensor hidden = key >= visible_;
    if (window > 0) {
      hidden = at::logical_or(hidden, visible_ - key > window);
    }
    return mask = mask_of(hidden);
  }
  // Which of the prefix's keys, [rows, length of the prefix].
  const at::Tensor& prefix_mask(int64_t window) {
    at::Tensor& mask = prefix_masks_[window];
    if (mask.defined()) return mask;
    const int64_t length = prefix_->length();
    return mask = mask_of(visible_ + length - range(length) > window);
  }

  // Writes the pass's keys and values; hands out those to attend to.
  void store(int64_t layer, const at::Tensor& k, const at::Tensor& v,
             at::Tensor* keys, at::Tensor* values) {
    if (each_slot_) {
      *keys = slabs_.keys.select(1, layer);
      *values = slabs_.values.select(1, layer);
      // Indexed rows: [spans, kv_heads, head_dim].
      keys->index_put_({slots_, at::indexing::Slice(), pasts_},
                       k.index_select(0, slots_));
      values->index_put_({slots_, at::indexing::Slice(), pasts_},
                         v.index_select(0, slots_));
      return;
    }
    const int64_t past = own_->length();
    *keys = own_->keys[layer].unsqueeze(0);
    *values = own_->values[layer].unsqueeze(0);
    keys->slice(2, past, past + count_)
        .copy_(k.slice(0, 0, count_).transpose(0, 1).unsqueeze(0));
    values->slice(2, past, past + count_)
        .copy_(v.slice(0, 0, count_).transpose(0, 1).unsqueeze(0));
  }

  // [texts, kv_heads, group * each, d] -> [rows, heads, d] in q's dtype.
  at::Tensor to_rows(const at::Tensor& out, const at::Tensor& q,
                     int64_t texts) const {
    const int64_t kv_heads = out.size(1), head_dim = out.size(3);
    const int64_t group = q.size(1) / kv_heads;
    return out.view({texts, kv_heads, group, rows_ / texts, head_dim})
        .permute({0, 3, 1, 2, 4})
        .reshape({rows_, kv_heads * group, head_dim})
        .to(q.scalar_type());
  }

  const formats::ModelConfig& config_;
  const Slabs& slabs_;
  const AtenSequence* prefix_;
  int64_t rows_;
  bool each_slot_;
  at::Tensor slots_, pasts_;  // [spans]
  AtenSequence* own_ = nullptr;
  int64_t count_ = 0;
  int64_t capacity_ = 0;  // keys of an own text
  at::Tensor visible_;    // [rows, 1]
  std::map<int64_t, at::Tensor> own_masks_, prefix_masks_;  // by window
};

class AtenDecoder : public Decoder {
 public:
  AtenDecoder(std::shared_ptr<const model::Weights> weights,
              const DecoderOptions& options)
      : weights_(std::move(weights)),
        options_(options),
        slot_used_(options.num_slots, false) {
    const c10::InferenceMode mode;
    rope_ = model::make_rope(weights_->config, options.max_context,
                             weights_->device());
    slabs_.keys = at::zeros(shape(options.num_slots, options.max_context),
                            tensor_options());
    slabs_.values = at::zeros_like(slabs_.keys);
  }

  std::unique_ptr<Sequence> new_sequence(int64_t max_tokens,
                                         bool shared) override {
    const c10::InferenceMode mode;
    if (shared) {
      // Room for a whole last chunk, whatever of it is used.
      const int64_t chunk = options_.prefill_chunk;
      const int64_t capacity = (max_tokens + chunk - 1) / chunk * chunk;
      const at::Tensor keys = at::zeros(shape(1, capacity), tensor_options());
      return std::make_unique<AtenSequence>(keys[0], at::zeros_like(keys)[0],
                                            -1, nullptr);
    }
    const auto free = std::find(slot_used_.begin(), slot_used_.end(), false);
    SELFALIGN_CHECK(free != slot_used_.end(), "more sequences than slots");
    const int64_t slot = free - slot_used_.begin();
    slot_used_[slot] = true;
    return std::make_unique<AtenSequence>(
        slabs_.keys[slot], slabs_.values[slot], slot, &slot_used_);
  }

  const float* forward(const Sequence* prefix, const std::vector<Span>& spans,
                       const std::vector<int64_t>& wanted) override {
    const c10::InferenceMode mode;
    bool each_slot = true;
    for (const Span& span : spans) {
      const auto& own = static_cast<const AtenSequence&>(*span.own);
      each_slot = each_slot && span.count == 1 && own.slot >= 0;
    }
    SELFALIGN_CHECK(each_slot || spans.size() == 1, "texts are not packed");
    const int64_t rows =
        each_slot ? options_.num_slots : options_.prefill_chunk;
    std::vector<int64_t> ids(rows, 0), positions(rows, 0), row_of;
    const int64_t before = prefix == nullptr ? 0 : prefix->length();
    for (const Span& span : spans) {
      const auto& own = static_cast<const AtenSequence&>(*span.own);
      SELFALIGN_CHECK(own.length() + span.count <= own.capacity(),
                      "sequence is full");
      for (int64_t i = 0; i < span.count; ++i) {
        row_of.push_back(each_slot ? own.slot : i);
        ids[row_of.back()] = span.tokens[i];
        positions[row_of.back()] = before + own.length() + i;
      }
    }
    PassAttention attention(weights_->config, slabs_,
                            static_cast<const AtenSequence*>(prefix), spans,
                            rows, each_slot);
    const at::Device device = weights_->device();
    const at::Tensor hidden = model::hidden_states(
        *weights_, rope_, at::tensor(ids, at::kLong).to(device),
        at::tensor(positions, at::kLong).to(device), attention);
    for (const Span& span : spans) {
      static_cast<AtenSequence*>(span.own)->append(span.count);
    }
    return logits_of(hidden, row_of, wanted);
  }

  bool packs_texts() const override { return false; }

 private:
  std::vector<int64_t> shape(int64_t texts, int64_t capacity) const {
    const formats::ModelConfig& c = weights_->config;
    return {texts, c.num_layers, c.num_kv_heads, capacity, c.head_dim};
  }
  at::TensorOptions tensor_options() const {
    return at::TensorOptions(weights_->device()).dtype(weights_->dtype());
  }

  // All rows of the pass go through the head: a fixed size again.
  const float* logits_of(const at::Tensor& hidden,
                         const std::vector<int64_t>& row_of,
                         const std::vector<int64_t>& wanted) {
    if (wanted.empty()) return nullptr;
    std::vector<int64_t> rows;
    rows.reserve(wanted.size());
    for (int64_t token : wanted) rows.push_back(row_of.at(token));
    logits_ =
        model::logits(*weights_, hidden)
            .index_select(0, at::tensor(rows, at::kLong).to(weights_->device()))
            .to(at::kCPU, at::kFloat)
            .contiguous();
    return logits_.const_data_ptr<float>();
  }

  std::shared_ptr<const model::Weights> weights_;
  DecoderOptions options_;
  std::vector<bool> slot_used_;
  model::Rope rope_;
  Slabs slabs_;
  at::Tensor logits_;
};

}  // namespace

std::unique_ptr<Decoder> make_aten_decoder(
    std::shared_ptr<const model::Weights> weights,
    const DecoderOptions& options) {
  return std::make_unique<AtenDecoder>(std::move(weights), options);
}

}  // namespace selfalign::engine
