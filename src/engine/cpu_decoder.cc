// SPDX-License-Identifier: Apache-2.0
#include "engine/cpu_decoder.h"

#include <malloc.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/profile.h"
#include "engine/cpu_attention.h"
#include "engine/cpu_layers.h"
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
// That is a LLaMA's; formats::ModelConfig says where other families have other
// norms, activations, windows and scales.
//
// Products are weights packed once (kernels.h) times all rows of the pass, so
// the weights are read from memory once per pass: with few rows that is the
// whole cost, with many it is arithmetic.
//
// Attention runs over pages of 64 keys. A task is a run of query rows of one
// key-value head; all query heads that share it, of all texts behind a prefix,
// are rows of the same product with the prefix's pages, which are therefore
// read once per task and not once per text. A prefix may go on from another
// one: then those behind either are rows of one product with what they have in
// common. Then each text's rows see that text's own pages, up to their own
// place. Sums, maxima and weights go on from page to page (a running softmax),
// so that joining prefix and own text is no step of its own.
//
// Invariant: an element of a product is one register's sum over the depth in
// one order, and a row of attention sees its pages in one order, whatever other
// rows are computed beside it. So a row's bits do not depend on the pass; rows
// are never padded, and a text may be cut into passes anywhere.
//
// Memory: the packed weights, in codes of 8 or 4 bits where that is asked for
// (model/rounding.h; unpacked panel by panel into a core's cache), shared
// between adapters on one base where they are equal (packed_cache.h), and 2 *
// layers * kv_heads * head_dim elements for each token that is kept, in pages
// that ended rows give back.

namespace selfalign::engine {
namespace {

// Scales and caps `count` rows of logits as the configuration says.
void finish_logits(const formats::ModelConfig& config, int64_t count,
                   float* logits) {
  const auto scale = static_cast<float>(config.logit_scale);
  const auto cap = static_cast<float>(config.logit_softcap);
  if (scale == 1.0f && cap == 0.0f) return;
  parallel_for(count, [&](int64_t i) {
    float* row = logits + i * config.vocab_size;
    for (int64_t j = 0; j < config.vocab_size; ++j) {
      row[j] *= scale;
      if (cap != 0.0f) row[j] = cap * std::tanh(row[j] / cap);
    }
  });
}

// To the weights' type, as the models were trained.
template <typename T>
float rounded(const ModelKernels<T>& set, double number) {
  const auto whole = static_cast<float>(number);
  T out{};
  set.convert(&whole, 1, 1.0f, &out);
  return to_float(out);
}

// What a pass appends, taken back where it fails: others may go on from these
// sequences, and would see keys that were never computed.
class Appended {
 public:
  explicit Appended(const std::vector<Span>& spans) : spans_(spans) {
    for (const Span& span : spans) lengths_.push_back(span.own->length());
  }
  ~Appended() {
    for (size_t i = 0; i < lengths_.size(); ++i) {
      spans_[i].own->truncate(lengths_[i]);
    }
  }
  Appended(const Appended&) = delete;
  Appended& operator=(const Appended&) = delete;
  void keep() { lengths_.clear(); }

 private:
  const std::vector<Span>& spans_;
  std::vector<int64_t> lengths_;
};

template <typename T>
class CpuDecoder : public Decoder {
 public:
  CpuDecoder(const model::Weights& weights, const DecoderOptions& options,
             const Kernels& set)
      : config_(weights.config),
        options_(options),
        set_(set.of<T>()),
        floats_(set.of<float>()),
        attention_(config_, set, options.max_context) {
    const c10::InferenceMode mode;
    // The largest first: while one is packed, it is in memory twice.
    head_ = shared_linear<T>(
        {weights.head}, [&](size_t) { return weights.head_values(); }, {},
        model::output_rounding(weights.rounding));
    if (!config_.tied_embeddings) {
      embedding_ = shared_values(weights.embedding,
                                 [&] { return weights.embedding_values(); });
    }
    layers_.reserve(weights.layers.size());
    for (int64_t i = 0; i < config_.num_layers; ++i) {
      layers_.push_back(pack_layer<T>(weights, i));
      ::malloc_trim(
          0);  // what was read goes back to the system, layer by layer
    }
    final_norm_ = {weights.final_norm, config_};
    cache_ = std::make_shared<CpuCache>(PageShape{
        config_.num_layers, config_.num_kv_heads, attention_.dim(), sizeof(T)});
    const int64_t tokens = max_tokens();
    x_.resize(tokens * config_.hidden_size);
    const bool is_coded = weights.rounding == Rounding::kW8a8;
    normed_.resize(tokens, head_->depth(), is_coded);
    qkv_.resize(tokens * layers_[0].qkv->columns());
    seen_.resize(tokens, layers_[0].o->depth(), is_coded);
    gated_.resize(tokens, layers_[0].down->depth(), is_coded);
  }

  std::unique_ptr<Sequence> new_sequence(int64_t max_tokens, bool shared,
                                         const Sequence* before) override {
    return std::make_unique<CpuSequence>(
        cache_, max_tokens, shared && options_.int8_prefix, before);
  }
  bool packs_texts() const override { return true; }
  int64_t shared_unit() const override { return kPageKeys; }
  int64_t cache_bytes() const override { return cache_->bytes(); }

  const float* forward(const std::vector<Span>& spans,
                       const std::vector<int64_t>& wanted) override {
    Appended appended(spans);
    place_tokens(spans);
    embed();
    for (int64_t i = 0; i < config_.num_layers; ++i) run_layer(i);
    const float* logits = logits_of(wanted);
    appended.keep();
    return logits;
  }

 private:
  void place_tokens(const std::vector<Span>& spans) {
    pass_.clear();
    for (const Span& span : spans) {
      auto* own = static_cast<CpuSequence*>(span.own);
      const int64_t before = own->offset();
      for (int64_t i = 0; i < span.count; ++i) {
        const int64_t index = own->length() + i;
        SELFALIGN_CHECK(before + index < options_.max_context, "position ",
                        before + index);
        pass_.places.push_back(
            {span.tokens[i], before + index, pass_.owns.size(), index});
      }
      own->extend(span.count);
      pass_.add(own);
    }
    SELFALIGN_CHECK(num_tokens() <= max_tokens(), num_tokens());
  }

  void embed() {
    const int64_t hidden = config_.hidden_size;
    const float scale = rounded(set_, config_.embedding_scale);
    for (int64_t t = 0; t < num_tokens(); ++t) {
      float* x = &x_[t * hidden];
      const int64_t id = pass_.places[t].id;
      if (embedding_ != nullptr) {
        const T* row = elements<T>(*embedding_) + id * hidden;
        for (int64_t i = 0; i < hidden; ++i) x[i] = to_float(row[i]);
      } else {
        head_->row(id, x);
      }
      for (int64_t i = 0; i < hidden; ++i) x[i] *= scale;
    }
  }

  // The transformer block, as in the figure.
  void run_layer(int64_t i) {
    using Form = formats::BlockForm;
    const PackedLayer<T>& layer = layers_[i];
    const int64_t tokens = num_tokens();
    const bool is_parallel = config_.block == Form::kParallel ||
                             config_.block == Form::kParallelOneNorm;
    norm(layer.input_norm);
    layer.qkv->run(set_, normed_, tokens, {.out = qkv_.data()});
    attention_.run(i, layer, pass_, qkv_.data(), layer.qkv->columns(),
                   seen_.row(0), seen_.width());
    if (config_.block == Form::kParallel) norm(layer.mlp_norm);
    add_product(*layer.o, seen_, layer.attention_norm);
    if (!is_parallel) norm(layer.mlp_norm);
    layer.wide->run(
        set_, normed_, tokens,
        {.activated = gated_.row(0), .activation = config_.activation});
    add_product(*layer.down, gated_, layer.mlp_out_norm);
  }

  template <typename Work>
  void for_rows(const Work& work) const {
    constexpr int64_t kRows = 8;
    const int64_t tokens = num_tokens();
    parallel_for((tokens + kRows - 1) / kRows, [&](int64_t chunk) {
      const int64_t end = std::min(tokens, (chunk + 1) * kRows);
      for (int64_t t = chunk * kRows; t < end; ++t) work(t);
    });
  }

  // x -> normed, rounded alone where there is no norm
  void norm(const PackedNorm& norm) {
    for_rows([&](int64_t t) { norm_row(norm, t, t); });
  }

  void norm_row(const PackedNorm& norm, int64_t from, int64_t to) {
    const float* x = &x_[from * config_.hidden_size];
    if (norm.is_there()) {
      norm.run(set_, x, config_.hidden_size, normed_.row(to));
    } else {
      set_.convert(x, config_.hidden_size, 1.0f, normed_.row(to));
    }
    normed_.code(set_, to);
  }

  // x += the product, after a norm where there is one
  void add_product(const PackedLinear<T>& linear, ProductRows<T>& a,
                   const PackedNorm& norm) {
    if (a.is_coded()) for_rows([&](int64_t t) { a.code(set_, t); });
    const auto scale = static_cast<float>(config_.residual_scale);
    if (!norm.is_there() && scale == 1.0f) {
      return linear.run(set_, a, num_tokens(),
                        {.out = x_.data(), .accumulate = true});
    }
    added_.resize(x_.size());
    linear.run(set_, a, num_tokens(), {.out = added_.data()});
    const int64_t hidden = config_.hidden_size;
    for_rows([&](int64_t t) {
      float* y = &added_[t * hidden];
      if (norm.is_there()) norm.run(floats_, y, hidden, y);
      for (int64_t i = 0; i < hidden; ++i) x_[t * hidden + i] += scale * y[i];
    });
  }

  const float* logits_of(const std::vector<int64_t>& wanted) {
    if (wanted.empty()) return nullptr;
    const int64_t count = static_cast<int64_t>(wanted.size());
    for (int64_t i = 0; i < count; ++i) norm_row(final_norm_, wanted[i], i);
    logits_.resize(count * config_.vocab_size);
    head_->run(set_, normed_, count, {.out = logits_.data()});
    finish_logits(config_, count, logits_.data());
    return logits_.data();
  }

  int64_t max_tokens() const {
    return options_.num_slots + options_.prefill_chunk;
  }
  int64_t num_tokens() const { return pass_.num_tokens(); }

  formats::ModelConfig config_;
  DecoderOptions options_;
  const ModelKernels<T>& set_;
  const ModelKernels<float>& floats_;
  std::shared_ptr<const at::Tensor> embedding_;  // null: the head's rows
  CpuAttention<T> attention_;
  std::vector<PackedLayer<T>> layers_;
  PackedNorm final_norm_;
  SharedLinear<T> head_;
  std::shared_ptr<CpuCache> cache_;

  Pass pass_;              // at work
  Aligned<float> x_;       // [tokens, hidden]
  ProductRows<T> normed_;  // [tokens, depth of qkv]
  Aligned<float> qkv_;     // [tokens, columns of qkv]
  ProductRows<T> seen_;    // [tokens, depth of o]
  ProductRows<T> gated_;   // [tokens, depth of down]
  Aligned<float> added_;   // [tokens, hidden], where a block scales its sums
  Aligned<float> logits_;  // [wanted, vocab]
};

}  // namespace

std::unique_ptr<Decoder> make_cpu_decoder(const model::Weights& weights,
                                          const DecoderOptions& options,
                                          const Kernels& set) {
  const ProfileSlice slice("pack weights");
  if (weights.dtype() == at::kFloat) {
    return std::make_unique<CpuDecoder<float>>(weights, options, set);
  }
  SELFALIGN_CHECK(weights.dtype() == at::kBFloat16, "weights of another type");
  return std::make_unique<CpuDecoder<Bf16>>(weights, options, set);
}

}  // namespace selfalign::engine
