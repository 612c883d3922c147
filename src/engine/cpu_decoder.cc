// SPDX-License-Identifier: Apache-2.0
#include "engine/cpu_decoder.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "base/error.h"
#include "engine/cpu_cache.h"
#include "engine/packed_cache.h"
#include "engine/parallel.h"

// How it works. A pass is a flat list of tokens: of several texts, each with a
// span of new tokens. Per layer:
//
//   x -> norm -> q, k, v in one product -> keys and values into pages
//     -> attention -> product added to x
//     -> norm -> gate and up in one product, silu(gate) * up while both are in
//        registers -> product added to x
//
// Products are weights packed once (kernels.h) times all rows of the pass, so
// the weights are read from memory once per pass: with few rows that is the
// whole cost, with many it is arithmetic.
//
// Attention runs over pages of 64 keys. A task is a run of query rows of one
// key-value head; all query heads that share it, of all texts, are rows of the
// same product with the prefix's pages, which are therefore read once per task
// and not once per text. Then each text's rows see that text's own pages, up to
// their own place. Sums, maxima and weights go on from page to page (a running
// softmax), so that joining prefix and own text is no step of its own.
//
// Invariant: an element of a product is one register's sum over the depth in
// one order, and a row of attention sees its pages in one order, whatever other
// rows are computed beside it. So a row's bits do not depend on the pass; rows
// are never padded, and a text may be cut into passes anywhere.
//
// Memory: the packed weights, shared between adapters on one base where they
// are equal (packed_cache.h), and 2 * layers * kv_heads * head_dim elements for
// each token that is kept, in pages that ended rows give back.

namespace selfalign::engine {
namespace {

template <typename T>
struct Layer {
  std::vector<float> input_norm, post_norm;  // [hidden]
  SharedLinear<T> qkv;      // hidden -> (heads + 2 kv_heads) * head_dim
  SharedLinear<T> o;        // heads * head_dim -> hidden
  SharedLinear<T> gate_up;  // hidden -> 2 * intermediate, blocks alternating
  SharedLinear<T> down;     // intermediate -> hidden
};

// One token of a pass.
struct Place {
  int64_t id = 0;
  int64_t position = 0;  // counts the prefix
  size_t span = 0;
  int64_t index = 0;  // in its own sequence
};

// The tokens of the pass at work and the sequences that they are of.
struct Pass {
  const CpuSequence* prefix = nullptr;
  std::vector<Place> places;       // [tokens]
  std::vector<CpuSequence*> owns;  // [spans]
};

// Attention of one layer after another over the pages of a pass: keys and
// values of its tokens go into their sequences, and each token sees the prefix
// and what stands before it in its own text.
template <typename T>
class PagedAttention {
 public:
  // Columns of a row of qkv and of what was seen.
  PagedAttention(const formats::ModelConfig& config, const ModelKernels<T>& set,
                 int64_t max_context, int64_t qkv_columns, int64_t seen_columns)
      : config_(config),
        set_(set),
        dim_(round_up(config.head_dim, kBlock)),
        group_(config.num_heads / config.num_kv_heads),
        qkv_columns_(qkv_columns),
        seen_columns_(seen_columns),
        rope_(model::make_rope(config, max_context, at::kCPU)) {}

  // qkv [tokens, qkv_columns] -> seen [tokens, seen_columns]
  void run(int64_t layer, const Pass& pass, const float* qkv, T* seen) {
    pass_ = &pass;
    qkv_ = qkv;
    seen_ = seen;
    parallel_for(num_tokens(), [&](int64_t t) { store_keys(layer, t); });
    attend(layer);
  }

 private:
  int64_t num_tokens() const {
    return static_cast<int64_t>(pass_->places.size());
  }

  // Keys, rotated, and values of token t into its sequence's page.
  void store_keys(int64_t layer, int64_t t) {
    const Place& place = pass_->places[t];
    const CpuSequence& own = *pass_->owns[place.span];
    const int64_t page = place.index / kPageKeys;
    const int64_t slot = place.index % kPageKeys;
    const int64_t head_dim = config_.head_dim;
    const float* row = &qkv_[t * qkv_columns_];
    Aligned<T> head(head_dim);
    for (int64_t j = 0; j < config_.num_kv_heads; ++j) {
      const float* key = row + (config_.num_heads + j) * head_dim;
      set_.rope(key, cos(place), sin(place), head_dim, head.data());
      T* keys = own.keys<T>(page, layer, j) + slot / kBlock * kBlock * dim_;
      for (int64_t d = 0; d < head_dim; ++d) {
        keys[packed_index<T>(d, slot % kBlock)] = head[d];
      }
      const float* value = key + config_.num_kv_heads * head_dim;
      set_.convert(value, head_dim, 1.0f, head.data());
      T* values = own.values<T>(page, layer, j);
      for (int64_t d = 0; d < head_dim; ++d) {
        values[d / kBlock * kBlock * kPageKeys +
               packed_index<T>(slot, d % kBlock)] = head[d];
      }
    }
  }

  // Query rows of a key-value head are (token, head of its group) pairs, token
  // by token; a task takes a run of them.
  void attend(int64_t layer) {
    const int64_t rows = num_tokens() * group_;
    const int64_t wanted_tasks = 3 * num_threads();
    const int64_t each = std::clamp<int64_t>(
        rows * config_.num_kv_heads / wanted_tasks / 6 * 6, 6, kMaxRows);
    const int64_t runs = (rows + each - 1) / each;
    parallel_for(runs * config_.num_kv_heads, [&](int64_t task) {
      const int64_t begin = task % runs * each;
      attend_rows(layer, task / runs, begin, std::min(rows, begin + each));
    });
  }

  void attend_rows(int64_t layer, int64_t kv_head, int64_t begin, int64_t end) {
    const int64_t head_dim = config_.head_dim;
    Aligned<T> q((end - begin) * dim_);
    Aligned<float> out((end - begin) * dim_);
    float max[kMaxRows], sum[kMaxRows] = {};
    std::fill_n(max, kMaxRows, -std::numeric_limits<float>::infinity());
    const auto source = [&](int64_t row) {  // column of the row's head
      return (kv_head * group_ + row % group_) * head_dim;
    };
    for (int64_t row = begin; row < end; ++row) {
      const Place& place = pass_->places[row / group_];
      const float* x = &qkv_[row / group_ * qkv_columns_] + source(row);
      set_.rope(x, cos(place), sin(place), head_dim, &q[(row - begin) * dim_]);
    }
    AttendArgs<T> args{.q = q.data(),
                       .rows = end - begin,
                       .dim = dim_,
                       .scale = 1.0f / std::sqrt(float(head_dim)),
                       .out = out.data(),
                       .max = max,
                       .sum = sum};
    if (pass_->prefix != nullptr) {
      attend_pages(args, *pass_->prefix, pass_->prefix->length(), layer,
                   kv_head);
    }
    for (int64_t row = begin; row < end;) {
      int64_t last = row;
      const size_t span = pass_->places[row / group_].span;
      while (last < end && pass_->places[last / group_].span == span) ++last;
      attend_own(args, begin, row, last, layer, kv_head);
      row = last;
    }
    for (int64_t row = begin; row < end; ++row) {
      const int64_t i = row - begin;
      set_.convert(&out[i * dim_], head_dim, 1.0f / sum[i],
                   &seen_[row / group_ * seen_columns_ + source(row)]);
    }
  }

  // Rows first..last-1 are of one text, whose last row sees the most.
  void attend_own(AttendArgs<T> args, int64_t begin, int64_t first,
                  int64_t last, int64_t layer, int64_t kv_head) {
    args.rows = last - first;
    args.q += (first - begin) * dim_;
    args.out += (first - begin) * dim_;
    args.max += first - begin;
    args.sum += first - begin;
    int64_t visible[kMaxRows];
    for (int64_t row = first; row < last; ++row) {
      visible[row - first] = pass_->places[row / group_].index + 1;
    }
    args.visible = visible;
    const int64_t keys = visible[last - first - 1];
    attend_pages(args, *pass_->owns[pass_->places[first / group_].span], keys,
                 layer, kv_head, visible);
  }

  // The first `keys` keys of a sequence. `visible` counts down page by page.
  void attend_pages(AttendArgs<T> args, const CpuSequence& sequence,
                    int64_t keys, int64_t layer, int64_t kv_head,
                    int64_t* visible = nullptr) {
    for (int64_t page = 0; page * kPageKeys < keys; ++page) {
      args.keys = sequence.keys<T>(page, layer, kv_head);
      args.values = sequence.values<T>(page, layer, kv_head);
      args.num_keys = std::min(kPageKeys, keys - page * kPageKeys);
      set_.attend(args);
      if (visible == nullptr) continue;
      for (int64_t i = 0; i < args.rows; ++i) visible[i] -= kPageKeys;
    }
  }

  const float* cos(const Place& place) const {
    return rope_.cos.const_data_ptr<float>() +
           place.position * config_.head_dim;
  }
  const float* sin(const Place& place) const {
    return rope_.sin.const_data_ptr<float>() +
           place.position * config_.head_dim;
  }

  const formats::ModelConfig config_;
  const ModelKernels<T>& set_;
  const int64_t dim_;    // head size in whole blocks
  const int64_t group_;  // query heads of a key-value head
  const int64_t qkv_columns_;
  const int64_t seen_columns_;
  const model::Rope rope_;

  // Of the layer at work.
  const Pass* pass_ = nullptr;
  const float* qkv_ = nullptr;
  T* seen_ = nullptr;
};

template <typename T>
class CpuDecoder : public Decoder {
 public:
  CpuDecoder(const model::Weights& weights, const DecoderOptions& options,
             const Kernels& set)
      : config_(weights.config),
        options_(options),
        set_(set.of<T>()),
        embedding_(weights.embedding.contiguous()) {
    const c10::InferenceMode mode;
    for (const model::LayerWeights& w : weights.layers) {
      Layer<T> layer;
      layer.input_norm = to_floats(w.input_norm);
      layer.post_norm = to_floats(w.post_norm);
      layer.qkv =
          shared_linear<T>({w.q, w.k, w.v}, {w.q_bias, w.k_bias, w.v_bias});
      layer.o = shared_linear<T>({w.o}, {w.o_bias});
      layer.gate_up = shared_gated<T>(w.gate, w.up);
      layer.down = shared_linear<T>({w.down}, {});
      layers_.push_back(std::move(layer));
    }
    final_norm_ = to_floats(weights.final_norm);
    head_ = shared_linear<T>({weights.head}, {});
    pool_ = std::make_shared<PagePool>(
        PageShape{config_.num_layers, config_.num_kv_heads,
                  round_up(config_.head_dim, kBlock), sizeof(T)});
    attention_.emplace(config_, set_, options.max_context,
                       layers_[0].qkv->columns(), layers_[0].o->depth());
    const int64_t tokens = max_tokens();
    x_.resize(tokens * config_.hidden_size);
    normed_.resize(tokens * head_->depth());
    qkv_.resize(tokens * layers_[0].qkv->columns());
    seen_.resize(tokens * layers_[0].o->depth());
    gated_.resize(tokens * layers_[0].down->depth());
  }

  std::unique_ptr<Sequence> new_sequence(int64_t max_tokens,
                                         bool /*shared*/) override {
    return std::make_unique<CpuSequence>(pool_, max_tokens);
  }

  bool packs_texts() const override { return true; }

  const float* forward(const Sequence* prefix, const std::vector<Span>& spans,
                       const std::vector<int64_t>& wanted) override {
    pass_.prefix = static_cast<const CpuSequence*>(prefix);
    place_tokens(spans);
    for (int64_t i = 0; i < config_.num_layers; ++i) run_layer(i);
    return logits_of(wanted);
  }

 private:
  void place_tokens(const std::vector<Span>& spans) {
    const int64_t before = pass_.prefix == nullptr ? 0 : pass_.prefix->length();
    pass_.places.clear();
    pass_.owns.clear();
    for (const Span& span : spans) {
      auto* own = static_cast<CpuSequence*>(span.own);
      for (int64_t i = 0; i < span.count; ++i) {
        const int64_t index = own->length() + i;
        SELFALIGN_CHECK(before + index < options_.max_context, "position ",
                        before + index);
        pass_.places.push_back(
            {span.tokens[i], before + index, pass_.owns.size(), index});
      }
      own->extend(span.count);
      pass_.owns.push_back(own);
    }
    SELFALIGN_CHECK(num_tokens() <= max_tokens(), num_tokens());
    const T* embedding = elements<T>(embedding_);
    const int64_t hidden = config_.hidden_size;
    for (int64_t t = 0; t < num_tokens(); ++t) {
      const T* row = embedding + pass_.places[t].id * hidden;
      for (int64_t i = 0; i < hidden; ++i) {
        x_[t * hidden + i] = to_float(row[i]);
      }
    }
  }

  // The transformer block, as in the figure.
  void run_layer(int64_t i) {
    const Layer<T>& layer = layers_[i];
    const int64_t tokens = num_tokens();
    norm(layer.input_norm, tokens);
    layer.qkv->run(set_, normed_.data(), tokens, {.out = qkv_.data()});
    attention_->run(i, pass_, qkv_.data(), seen_.data());
    layer.o->run(set_, seen_.data(), tokens,
                 {.out = x_.data(), .accumulate = true});
    norm(layer.post_norm, tokens);
    layer.gate_up->run(set_, normed_.data(), tokens, {.gated = gated_.data()});
    layer.down->run(set_, gated_.data(), tokens,
                    {.out = x_.data(), .accumulate = true});
  }

  // x -> normed
  void norm(const std::vector<float>& weight, int64_t tokens) {
    constexpr int64_t kRows = 8;
    const int64_t hidden = config_.hidden_size;
    parallel_for((tokens + kRows - 1) / kRows, [&](int64_t chunk) {
      const int64_t end = std::min(tokens, (chunk + 1) * kRows);
      for (int64_t t = chunk * kRows; t < end; ++t) {
        set_.rms_norm(&x_[t * hidden], weight.data(), hidden,
                      static_cast<float>(config_.rms_norm_eps),
                      &normed_[t * head_->depth()]);
      }
    });
  }

  const float* logits_of(const std::vector<int64_t>& wanted) {
    if (wanted.empty()) return nullptr;
    const int64_t hidden = config_.hidden_size;
    const int64_t count = static_cast<int64_t>(wanted.size());
    for (int64_t i = 0; i < count; ++i) {
      set_.rms_norm(&x_[wanted[i] * hidden], final_norm_.data(), hidden,
                    static_cast<float>(config_.rms_norm_eps),
                    &normed_[i * head_->depth()]);
    }
    logits_.resize(count * config_.vocab_size);
    head_->run(set_, normed_.data(), count, {.out = logits_.data()});
    return logits_.data();
  }

  int64_t max_tokens() const {
    return options_.num_slots + options_.prefill_chunk;
  }
  int64_t num_tokens() const {
    return static_cast<int64_t>(pass_.places.size());
  }
  formats::ModelConfig config_;
  DecoderOptions options_;
  const ModelKernels<T>& set_;
  at::Tensor embedding_;
  std::vector<Layer<T>> layers_;
  std::vector<float> final_norm_;
  SharedLinear<T> head_;
  std::shared_ptr<PagePool> pool_;
  std::optional<PagedAttention<T>> attention_;

  // Of the pass at work.
  Pass pass_;
  Aligned<float> x_;       // [tokens, hidden]
  Aligned<T> normed_;      // [tokens, depth of qkv]
  Aligned<float> qkv_;     // [tokens, columns of qkv]
  Aligned<T> seen_;        // [tokens, depth of o]
  Aligned<T> gated_;       // [tokens, depth of down]
  Aligned<float> logits_;  // [wanted, vocab]
};

}  // namespace

std::unique_ptr<Decoder> make_cpu_decoder(const model::Weights& weights,
                                          const DecoderOptions& options,
                                          const Kernels& set) {
  if (weights.dtype() == at::kFloat) {
    return std::make_unique<CpuDecoder<float>>(weights, options, set);
  }
  SELFALIGN_CHECK(weights.dtype() == at::kBFloat16, "weights of another type");
  return std::make_unique<CpuDecoder<Bf16>>(weights, options, set);
}

}  // namespace selfalign::engine
