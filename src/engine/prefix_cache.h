// SPDX-License-Identifier: Apache-2.0
// Prefixes whose keys and values were computed, as a tree: what two of them
// begin with is held and computed once, in whole pages.
#pragma once

#include <list>
#include <memory>
#include <vector>

#include "engine/decoder.h"

namespace selfalign::engine {

// Tokens that both begin with.
int64_t num_common(const std::vector<int>& a, const std::vector<int>& b);

// Appends tokens[length of sequence .. count) in passes of `chunk` tokens.
void fill_sequence(Decoder& decoder, Sequence& sequence,
                   const std::vector<int>& tokens, int64_t count,
                   int64_t chunk);

struct Prefix {
  // From the text's beginning, with BOS where the tokenizer adds it.
  std::vector<int> tokens;
  std::shared_ptr<Prefix> before = nullptr;  // these begin with its tokens
  // Holds the tokens behind those of `before`; filled by those who use it.
  std::unique_ptr<Sequence> sequence = nullptr;

  int64_t num_before() const {
    return before ? static_cast<int64_t>(before->tokens.size()) : 0;
  }
  int64_t num_own() const {
    return static_cast<int64_t>(tokens.size()) - num_before();
  }
  int64_t num_missing() const { return num_own() - sequence->length(); }
};

// The first of those that a prefix consists of, from the text's beginning, that
// is not computed yet; null: all are.
Prefix* first_missing(Prefix* prefix);

class PrefixCache {
 public:
  // Keeps the most recent prefixes of `max_tokens` tokens together, and one at
  // least; others as long as they are in use.
  PrefixCache(Decoder& decoder, int64_t max_tokens)
      : decoder_(decoder), max_tokens_(max_tokens) {}

  // That of these tokens, of which there is one at least.
  std::shared_ptr<Prefix> find_or_add(std::vector<int> tokens);

 private:
  // That of the first `length` tokens of `prefix`, which is cut where none ends
  // there.
  std::shared_ptr<Prefix> cut(std::shared_ptr<Prefix> prefix, int64_t length);
  void keep(const std::shared_ptr<Prefix>& prefix);
  // Held by those that are kept, what they begin with counted once.
  int64_t num_kept_tokens() const;

  Decoder& decoder_;
  int64_t max_tokens_;
  std::vector<std::weak_ptr<Prefix>> all_;     // kept or in use
  std::list<std::shared_ptr<Prefix>> recent_;  // kept, most recent first
};

}  // namespace selfalign::engine
