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
//   3. Where the first common token stands at places i and j (from 0), at most
//      min(m - i, n - j) tokens are common, so that is need(m + n) at least.
//      Postings of a token are sorted by length, so that a search goes through
//      those alone for whose length i is early enough.
//   4. Each token turns over one bit of a text's sketch. Two sketches differ in
//      no more bits than there are tokens that one text has alone, m + n - 2 c
//      (the bitmap filter of Sandes et al. 2020, "Bitmap filter: speeding up
//      exact set similarity joins with bitwise operations").
//   5. What is left is counted whole, then the LCS decides.
// The order may be any, as long as all texts and the query share it: words that
// appear later count as rarer than all before, and whenever the texts have
// doubled, all is put in order of true frequency again. Hence which texts are
// looked at changes with the order, but never what is found.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/rouge.h"

namespace selfalign::text {

using RougeSketch = std::array<uint64_t, 2>;

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
    RougeSketch sketch;  // of the text
    uint32_t text;
    uint32_t num_left;  // the text's tokens from this one on, in the order
    uint32_t length;    // of the text
  };
  // Of a token: a longer part sorted by length, and what came since.
  struct Postings {
    std::vector<Posting> all;
    ptrdiff_t num_sorted = 0;

    void sort();
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
  RougeSketch sketch_of(const int32_t* begin, const int32_t* end) const;
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
  std::vector<Postings> postings_;  // by token
  size_t max_length_ = 0;
  size_t order_at_ = 512;  // texts at which the order is made anew
};

}  // namespace selfalign::text
