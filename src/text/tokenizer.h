// SPDX-License-Identifier: Apache-2.0
// Text to token ids and back. One interface for byte-level BPE (tokenizer.json,
// GGUF vocabulary) and SentencePiece (.model). formats/load_tokenizer.h opens
// whatever a path holds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace selfalign::text {

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  // Ids of `text`. With parse_special, the text of a special token (for
  // example "<|im_end|>") becomes that token; without, it is plain text: what
  // a model or user wrote can never forge a turn. No BOS or EOS is added.
  // Any bytes are accepted; invalid UTF-8 is encoded by bytes. A byte that the
  // vocabulary has no token for is dropped or unknown, as in the reference
  // (SmolLM2 lacks 21, six of them control characters). Thread-safe.
  //
  // encode() starts a text, encode_continuation() goes on with one that it was
  // not given: where a tokenizer puts a space before a text (SentencePiece's
  // dummy prefix, ByteLevel's add_prefix_space), only the start has it. Two
  // pieces that are cut apart between words, the second beginning with its
  // space, give the ids of the whole; SentencePiece also wherever a token of
  // the whole ends. For a cut anywhere see encode_pair().
  virtual std::vector<int> encode(std::string_view text,
                                  bool parse_special = false) const = 0;
  virtual std::vector<int> encode_continuation(std::string_view text) const = 0;

  // A number of tokens that encode(text) and encode_continuation(text) never
  // stay below, by the text's bytes and the longest token; 0 where nothing is
  // known. In linear time, a hundred times as fast as encode().
  virtual size_t min_tokens(std::string_view /*text*/) const { return 0; }

  // Bytes of the ids, special tokens included when `with_special`. May end in
  // an incomplete UTF-8 sequence. Ids out of range are an Error kInput.
  virtual std::string decode(const std::vector<int>& ids,
                             bool with_special = false) const = 0;
  // Bytes of one token (empty for a special one unless with_special).
  virtual std::string decode_token(int id, bool with_special = false) const = 0;

  virtual int size() const = 0;       // ids are 0..size-1
  virtual int bos() const = 0;        // -1: none
  virtual int eos() const = 0;        // -1: none
  virtual bool adds_bos() const = 0;  // a prompt starts with BOS
  // All tokens that end a text: eos, end of turn. Never empty where eos >= 0.
  virtual const std::vector<int>& end_tokens() const = 0;
  virtual int token_id(std::string_view piece) const = 0;  // -1: none
  virtual bool is_special(int id) const = 0;
};

// `head` and `tail` as one text, cut where tail begins: a token that holds
// something of both counts to the tail, so that `tail` is what a model has to
// say after `head`. Where that would leave nothing of a filled head, the two
// are tokenized apart. An empty tail has no tokens.
struct TokenPair {
  std::vector<int> head;
  std::vector<int> tail;
};
TokenPair encode_pair(const Tokenizer& tokenizer, std::string_view head,
                      std::string_view tail);

}  // namespace selfalign::text
