// SPDX-License-Identifier: Apache-2.0
// Keys and values of rows that have ended: the next turn of a chat begins with
// all of the turn before, and goes on from there. For decoders that pack texts
// alone, where it changes no bit.
#pragma once

#include <list>
#include <memory>
#include <vector>

#include "engine/prefix_cache.h"

namespace selfalign::engine {

class SequenceCache {
 public:
  // Keeps rows of so many tokens together, their prefixes counted with each;
  // the one kept longest ago goes first.
  explicit SequenceCache(int64_t max_tokens) : max_tokens_(max_tokens) {}

  // `tokens` begins with those that the sequence holds. Short rows are not
  // worth a place.
  void keep(std::shared_ptr<Prefix> prefix, std::vector<int> tokens,
            std::unique_ptr<Sequence> sequence);

  // Of the rows behind `prefix`, which may be null, the one that begins most
  // like `tokens`: its sequence, cut to what both have in common and at least
  // one token shorter than `tokens`. It is kept no longer. Null: none.
  std::unique_ptr<Sequence> take(const std::shared_ptr<Prefix>& prefix,
                                 const std::vector<int>& tokens);

 private:
  struct Row {
    std::shared_ptr<Prefix> prefix;
    std::vector<int> tokens;
    std::unique_ptr<Sequence> sequence;
    int64_t cost() const;
  };

  int64_t max_tokens_;
  int64_t num_tokens_ = 0;
  std::list<Row> rows_;  // most recent first
};

}  // namespace selfalign::engine
