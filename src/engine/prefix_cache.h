// SPDX-License-Identifier: Apache-2.0
// Prefixes whose keys and values were computed: the few most recent ones.
#pragma once

#include <list>
#include <memory>
#include <vector>

#include "engine/decoder.h"

namespace selfalign::engine {

// Appends tokens[length of sequence .. count) in passes of `chunk` tokens.
void fill_sequence(Decoder& decoder, Sequence& sequence,
                   const std::vector<int>& tokens, int64_t count,
                   int64_t chunk);

struct Prefix {
  std::vector<int> tokens;  // with BOS where the tokenizer adds it
  // Holds all tokens but the last, which every row repeats as its first own:
  // so a row with an empty suffix has a token to go on from. Null until
  // needed.
  std::unique_ptr<Sequence> sequence;
};

class PrefixCache {
 public:
  // The entry for these tokens, with its sequence if it was there before. What
  // is in use stays alive with its users.
  std::shared_ptr<Prefix> find_or_add(std::vector<int> tokens);

 private:
  std::list<std::shared_ptr<Prefix>> entries_;  // most recent first
};

}  // namespace selfalign::engine
