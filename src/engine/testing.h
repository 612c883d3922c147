// SPDX-License-Identifier: Apache-2.0
// The smallest world for tests of the engine: a random LLaMA and a tokenizer
// of bytes.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/decoder.h"
#include "engine/engine.h"
#include "model/transformer.h"
#include "text/tokenizer.h"

namespace selfalign::engine {

struct TinyShape {
  int64_t num_layers = 2, hidden = 48, heads = 6, kv_heads = 2, head_dim = 8;
  int64_t intermediate = 40, vocab = 260;
};
// Weights of a fixed seed.
std::shared_ptr<model::Weights> tiny_weights(const TinyShape& shape = {},
                                             at::ScalarType dtype = at::kFloat);

// Ids 0..255 are bytes, 256 ends a text, 257 begins one if asked for.
class ByteTokenizer : public text::Tokenizer {
 public:
  explicit ByteTokenizer(bool adds_bos = false) : adds_bos_(adds_bos) {}
  std::vector<int> encode(std::string_view text,
                          bool parse_special) const override;
  std::vector<int> encode_continuation(std::string_view text) const override {
    return encode(text, false);
  }
  std::string decode(const std::vector<int>& ids,
                     bool with_special) const override;
  std::string decode_token(int id, bool with_special) const override;
  int size() const override { return 258; }
  int bos() const override { return 257; }
  int eos() const override { return 256; }
  bool adds_bos() const override { return adds_bos_; }
  const std::vector<int>& end_tokens() const override { return ends_; }
  int token_id(std::string_view) const override { return -1; }
  bool is_special(int id) const override { return id >= 256; }

 private:
  bool adds_bos_;
  std::vector<int> ends_ = {256};
};

constexpr EngineOptions kTinyOptions{
    .num_slots = 4, .max_context = 400, .prefill_chunk = 32};

// An engine of the tiny weights and bytes as tokens.
std::unique_ptr<generate::Generator> engine_of(
    const EngineOptions& options = kTinyOptions,
    at::ScalarType dtype = at::kFloat);

// Completions of all requests, by key; each must come once.
using Completions = std::map<uint64_t, generate::Completion>;
Completions run(generate::Generator& generator,
                const std::vector<generate::Request>& requests);

// That of the tiny weights on a CPU, for kTinyOptions with so many slots.
class WatchedDecoder : public Decoder {
 public:
  explicit WatchedDecoder(int num_slots = kTinyOptions.num_slots);
  std::unique_ptr<Sequence> new_sequence(int64_t max_tokens, bool shared,
                                         const Sequence* before) override {
    return decoder_->new_sequence(max_tokens, shared, before);
  }
  const float* forward(const std::vector<Span>& spans,
                       const std::vector<int64_t>& wanted) override {
    std::vector<const Sequence*>& befores = passes.emplace_back();
    for (const Span& span : spans) {
      num_tokens += span.count;
      befores.push_back(span.own->before());
    }
    return decoder_->forward(spans, wanted);
  }
  bool packs_texts() const override { return true; }
  int64_t shared_unit() const override { return decoder_->shared_unit(); }
  int64_t cache_bytes() const override { return decoder_->cache_bytes(); }

  int64_t num_tokens = 0;  // of all passes
  // Of each, what stood before its spans, in their order.
  std::vector<std::vector<const Sequence*>> passes;

 private:
  std::unique_ptr<Decoder> decoder_;
};

// One ATen thread while it lives: on tiny tensors a second one only costs.
class OneThread {
 public:
  OneThread() : before_(at::get_num_threads()) { at::set_num_threads(1); }
  ~OneThread() { at::set_num_threads(before_); }

 private:
  int before_;
};

// Logits [tokens, vocab] float32 of one text by model::hidden_states.
at::Tensor reference_logits(const model::Weights& weights,
                            const std::vector<int>& tokens);

}  // namespace selfalign::engine
