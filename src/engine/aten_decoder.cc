// SPDX-License-Identifier: Apache-2.0
// Tensors that are computed with have sizes that depend on the options (and the
// prefix) alone: a pass over one token of each text has num_slots rows, rounded
// up to whole tiles of kRowsOfATile, row = slot; any other has prefill_chunk
// rows of one text. What is not there is padded and masked. So the library
// picks the same kernels whoever shares the pass, and a row's bits do not
// depend on its neighbours; in whole tiles they do not depend on its slot (the
// last rows of six come out of another kernel on a CPU). How attention keeps
// this and yet follows the length in use: aten_attention.cc.
#include "engine/aten_decoder.h"

#include <algorithm>

#include "base/error.h"
#include "engine/aten_attention.h"
#include "model/device.h"

namespace selfalign::engine {
namespace {

constexpr int64_t kRowsOfATile = 16;

class AtenDecoder : public Decoder {
 public:
  AtenDecoder(std::shared_ptr<const model::Weights> weights,
              const DecoderOptions& options, FreeMemory free_memory)
      : weights_(std::move(weights)),
        options_(options),
        free_memory_(std::move(free_memory)),
        slot_used_(std::make_shared<std::vector<bool>>(
            size_t(options.num_slots), false)),
        pool_(std::make_shared<AtenPool>(
            shape(), std::min(options.num_slots, kAtenSlabPages),
            free_memory_)) {
    const c10::InferenceMode mode;
    rope_ = model::make_rope(weights_->config, options.max_context,
                             weights_->device());
  }

  std::unique_ptr<Sequence> new_sequence(int64_t max_tokens, bool shared,
                                         const Sequence* before) override {
    const c10::InferenceMode mode;
    if (shared) {
      SELFALIGN_CHECK(before == nullptr, "a prefix behind a prefix");
      return std::make_unique<AtenPrefix>(shape(), max_tokens, free_memory_,
                                          prefix_bytes_);
    }
    const auto free = std::find(slot_used_->begin(), slot_used_->end(), false);
    SELFALIGN_CHECK(free != slot_used_->end(), "more sequences than slots");
    *free = true;
    return std::make_unique<AtenRow>(pool_, max_tokens, before,
                                     free - slot_used_->begin(), slot_used_);
  }

  const float* forward(const std::vector<Span>& spans,
                       const std::vector<int64_t>& wanted) override {
    const c10::InferenceMode mode;
    const Sequence* prefix = spans.at(0).own->before();
    bool each_slot = true;
    for (const Span& span : spans) {
      each_slot = each_slot && span.count == 1 && row_of(span) != nullptr;
      SELFALIGN_CHECK(span.own->before() == prefix, "two prefixes in a pass");
    }
    SELFALIGN_CHECK(each_slot || spans.size() == 1, "texts are not packed");
    const int64_t tiles =
        (options_.num_slots + kRowsOfATile - 1) / kRowsOfATile;
    const int64_t rows =
        each_slot ? tiles * kRowsOfATile : options_.prefill_chunk;
    std::vector<int64_t> ids(size_t(rows), 0), positions(size_t(rows), 0);
    std::vector<int64_t> places;
    const int64_t before = prefix == nullptr ? 0 : prefix->length();
    for (const Span& span : spans) {
      auto& own = static_cast<AtenSequence&>(*span.own);
      own.reserve(own.length() + span.count);
      for (int64_t i = 0; i < span.count; ++i) {
        places.push_back(each_slot ? row_of(span)->slot() : i);
        ids[size_t(places.back())] = span.tokens[i];
        positions[size_t(places.back())] = before + own.length() + i;
      }
    }
    const at::Device device = weights_->device();
    const auto* shared = static_cast<const AtenPrefix*>(prefix);
    const auto attention =
        each_slot
            ? attention_of_slots(weights_->config, *pool_, shared, spans, rows)
            : attention_of_text(weights_->config, shared, spans[0], rows,
                                device);
    const at::Tensor hidden = model::hidden_states(
        *weights_, rope_, at::tensor(ids, at::kLong).to(device),
        at::tensor(positions, at::kLong).to(device), *attention);
    for (const Span& span : spans) {
      static_cast<AtenSequence*>(span.own)->append(span.count);
    }
    return logits_of(hidden, places, wanted);
  }

  bool packs_texts() const override { return false; }
  int64_t shared_unit() const override { return 0; }

  int64_t cache_bytes() const override {
    return pool_->bytes() + *prefix_bytes_;
  }

 private:
  AtenShape shape() const {
    const formats::ModelConfig& c = weights_->config;
    return {c.num_layers, c.num_kv_heads, c.head_dim,
            at::TensorOptions(weights_->device()).dtype(weights_->dtype())};
  }
  static const AtenRow* row_of(const Span& span) {
    return dynamic_cast<const AtenRow*>(span.own);
  }

  // All rows of the pass go through the head: a fixed size again.
  const float* logits_of(const at::Tensor& hidden,
                         const std::vector<int64_t>& places,
                         const std::vector<int64_t>& wanted) {
    if (wanted.empty()) return nullptr;
    std::vector<int64_t> rows;
    rows.reserve(wanted.size());
    for (int64_t token : wanted) rows.push_back(places.at(size_t(token)));
    logits_ =
        model::logits(*weights_, hidden)
            .index_select(0, at::tensor(rows, at::kLong).to(weights_->device()))
            .to(at::kCPU, at::kFloat)
            .contiguous();
    return logits_.const_data_ptr<float>();
  }

  std::shared_ptr<const model::Weights> weights_;
  DecoderOptions options_;
  FreeMemory free_memory_;
  std::shared_ptr<std::vector<bool>> slot_used_;
  std::shared_ptr<AtenPool> pool_;
  std::shared_ptr<int64_t> prefix_bytes_ = std::make_shared<int64_t>(0);
  model::Rope rope_;
  at::Tensor logits_;
};

}  // namespace

std::unique_ptr<Decoder> make_aten_decoder(
    std::shared_ptr<const model::Weights> weights,
    const DecoderOptions& options, FreeMemory free_memory) {
  if (!free_memory) {
    free_memory = [device = weights->device()] {
      return model::free_memory(device);
    };
  }
  return std::make_unique<AtenDecoder>(std::move(weights), options,
                                       std::move(free_memory));
}

}  // namespace selfalign::engine
