// SPDX-License-Identifier: Apache-2.0
// Texts kept so far; finds whether a new one is too close in ROUGE-L to any of
// them, exactly, without looking at most of them. Apart from rouge.h because
// the search is a structure of its own: a prefix filter as in Xiao et al. 2008
// ("Efficient similarity joins for near duplicate detection", PPJoin), grown
// one text at a time.
//
// Why no match is lost. A text is a set of tokens; the k-th occurrence of a
// word is a token of its own, so the common tokens of two texts are their
// common words counted with repetition. With m and n words and an LCS of l the
// score is 2 l / (m + n), and l is at most the number c of common tokens.
//   1. Let need(s) be the least l with 2 l / s above the threshold (or so near
//      that rounding may put the score above). A match has
//      c >= l >= need(m + n).
//   2. All tokens stand in one strict order, rarest first. If two texts have
//      c >= need common tokens, the first common one has at least need - 1
//      tokens after it in both; so it stands among the first m - need + 1 of
//      the one and the first n - need + 1 of the other. need grows with the
//      sum, so the shortest text that can match at all (the least m with
//      need(m + n) <= m) gives a prefix of n that is long enough for every m.
//      Only prefixes are in the index and only a prefix is looked up.
//   3. Where a token stands at places i and j (from 0), at most
//      min(m - i, n - j) common tokens are left, itself included, and those
//      before it have all been counted, since prefixes are looked up in order
//      and hold everything before their last token. Below need in sum: no
//      match, and no later token can change that.
//   4. What is left is counted whole, then the LCS decides.
// The order may be any, as long as all texts and the query share it: words that
// appear later count as rarer than all before, and whenever the texts have
// doubled, all is put in order of true frequency again. Hence which texts are
// looked at changes with the order, but never what is found.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/rouge.h"

namespace selfalign::text {

// Used by one thread at a time, searches included.
class RougeIndex {
 public:
  struct Match {
    size_t index;  // of the kept text, in order of add()
    double score;
  };
  // A match scores above `threshold`; below 0 any text is one, from 1 on none.
  explicit RougeIndex(double threshold, RougeKind kind = RougeKind::kUnicode)
      : threshold_(std::max(threshold, 0.0)),
        takes_any_(threshold < 0.0),
        kind_(kind) {}

  // The kept text with the highest score above the threshold, the first on a
  // tie.
  std::optional<Match> find_above(std::string_view text) const;
  void add(std::string_view text);
  size_t size() const { return texts_.size(); }

 private:
  struct Posting {
    uint32_t text;
    uint32_t place;   // of the token in the text's order
    uint32_t length;  // of the text
  };
  struct Text {
    std::vector<uint32_t> words;  // in order of the text
    std::vector<int32_t> ranks;   // of its tokens, rarest first
  };
  using Needed = std::vector<uint32_t>;
  using Numbers = std::vector<uint32_t>;

  uint32_t token_of(uint32_t word, uint32_t occurrence) const;
  uint32_t make_token(uint32_t word, uint32_t occurrence);
  int32_t rank_of(uint32_t token) const;
  uint32_t token_at(int32_t rank) const;
  std::vector<int32_t> ranks_of(std::vector<uint32_t> words) const;
  size_t need(size_t sum) const;
  size_t prefix_length(size_t length) const;
  Needed needed_with(size_t length) const;
  Numbers candidates(const std::vector<int32_t>& ranks,
                     const Needed& needed) const;
  void enter(uint32_t number);
  void put_in_order();

  double threshold_;
  bool takes_any_;
  RougeKind kind_;
  std::unordered_map<std::string, uint32_t> words_;
  // Token of (word, occurrence from 0 on) -> token.
  std::unordered_map<uint64_t, uint32_t> tokens_;
  std::vector<uint32_t> num_holders_;  // by token: texts that hold it
  // The order: ranks_[token] for the first ranks_.size() tokens, 0 the rarest;
  // tokens made since then have -1, -2 and so on.
  std::vector<int32_t> ranks_;
  std::vector<uint32_t> by_rank_;
  std::vector<Text> texts_;
  std::vector<std::vector<Posting>> postings_;  // by token
  size_t max_length_ = 0;
  size_t order_at_ = 512;  // texts at which the order is made anew
  mutable std::vector<uint32_t> num_shared_;  // by text; 0 between searches
};

}  // namespace selfalign::text
