// SPDX-License-Identifier: Apache-2.0
// Runs tokens of many texts through the model in one pass, each text seeing
// its own keys and values and, before them, those of the prefix that it shares
// with others. Two implementations: own kernels on a CPU (cpu_decoder.h), ATen
// elsewhere (aten_decoder.h), so that the generation loop knows neither.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "model/transformer.h"

namespace selfalign::engine {

// Keys and values of the tokens of one text, kept by the decoder that made it.
class Sequence {
 public:
  virtual ~Sequence() = default;
  int64_t length() const { return length_; }  // tokens held
  // What the text begins with, held for others, too; null: nothing. It outlives
  // this one, and grows no longer once this one holds a token.
  const Sequence* before() const { return before_; }
  // Tokens that stand before its own.
  int64_t offset() const {
    return before_ == nullptr ? 0 : before_->offset() + before_->length();
  }
  // Forgets the tokens from `length` on.
  virtual void truncate(int64_t length) = 0;
  // Of a shared sequence, cut behind its first `length` tokens, a multiple of
  // Decoder::shared_unit(): it keeps what stands behind them and goes on from
  // what is returned, which holds what it held of them and goes on from what it
  // did.
  virtual std::unique_ptr<Sequence> cut_start(int64_t length) = 0;

 protected:
  explicit Sequence(const Sequence* before) : before_(before) {}

  const Sequence* before_;
  int64_t length_ = 0;
};

// Tokens that a pass appends to `own`. No two spans of a pass name the same
// sequence.
struct Span {
  Sequence* own = nullptr;
  const int* tokens = nullptr;
  int64_t count = 0;  // at least 1
};

struct DecoderOptions {
  int64_t num_slots = 64;  // texts decoded together
  // Most tokens of a pass beside one for each slot.
  int64_t prefill_chunk = 128;
  int64_t max_context = 4096;  // tokens a sequence may hold
  // Full pages of what is shared are seen in whole numbers of 8 bits, by its
  // own later tokens, too; on a CPU.
  bool int8_prefix = false;
};

class Decoder {
 public:
  virtual ~Decoder() = default;

  // An empty sequence of at most `max_tokens` tokens that goes on from `before`
  // (null: it begins the text). `shared`: others go on from it; where texts are
  // not packed, at most num_slots of those that are not exist at a time. Error
  // kResources where memory does not suffice, here or in forward().
  virtual std::unique_ptr<Sequence> new_sequence(int64_t max_tokens,
                                                 bool shared,
                                                 const Sequence* before) = 0;

  // Appends the tokens of all spans, num_slots + prefill_chunk at most. Token i
  // of a span sees all that stands before its own sequence, what that held
  // before, and the span's tokens up to itself; its position counts all of
  // them. Spans behind one prefix that stand beside each other read it
  // together. Returns float32 logits [wanted.size(), vocab] of the tokens whose
  // indices (over all spans, in order) are in `wanted`; valid until the next
  // call. Where it throws, no sequence holds more than before.
  //
  // No bit of a token's logits depends on the other spans of the pass, on
  // their order, or on the sequence's place in memory.
  virtual const float* forward(const std::vector<Span>& spans,
                               const std::vector<int64_t>& wanted) = 0;

  // Whether a pass may hold several tokens of more than one text, and texts
  // behind several prefixes. If not, a pass has a single span of at most
  // prefill_chunk tokens, beginning at a multiple of it, or one token of each
  // of several texts behind one prefix.
  virtual bool packs_texts() const = 0;

  // Shared sequences may go on from shared ones whose length is a multiple of
  // this, which changes no bit; 0: from none.
  virtual int64_t shared_unit() const = 0;

  // That keys and values take, what is kept for later ones included.
  virtual int64_t cache_bytes() const = 0;
};

}  // namespace selfalign::engine
