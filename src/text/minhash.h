// Near-duplicates by MinHash (Broder 1997) with banded buckets (Leskovec et
// al., "Mining of Massive Datasets", section 3.4): for collections in which the
// exact search of RougeIndex takes too long. Gives candidates; what it does not
// give may be a match, with a probability that is chosen.
//
// A text is the set of its words, the k-th occurrence of a word an element of
// its own, as in RougeIndex. Two texts of m and n words and a ROUGE-L above t
// have more than t (m + n) / 2 elements in common, so a Jaccard similarity
// above s = t / (2 - t). One hash's minimum is the same in both with that
// probability, all `rows` of a band with s^rows, so at least one of the bands
// with 1 - (1 - s^rows)^bands. More rows mean fewer candidates that are none,
// and more bands for the same recall: rows are as many as kMaxHashes allows.
// Shingles of one word, because longer ones have no such bound: a word in three
// replaced here and there can leave two texts without two words in a row in
// common, though their ROUGE-L is 0.7.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "text/rouge.h"

namespace selfalign::text {

struct MinHashOptions {
  double min_rouge_l = 0.7;  // matches score above; in [0.1, 1)
  double recall = 0.95;      // of matches that just reach it; in (0, 1)
  RougeKind kind = RougeKind::kUnicode;
};

// The same texts give the same candidates on every machine.
class MinHashIndex {
 public:
  explicit MinHashIndex(const MinHashOptions& options);

  // Added texts that share a band with `text`, ascending, in order of add().
  std::vector<uint32_t> candidates(std::string_view text) const;
  void add(std::string_view text);

  size_t size() const { return num_texts_; }
  int num_rows() const { return num_rows_; }
  int num_bands() const { return num_bands_; }

 private:
  static constexpr int kMaxHashes = 400;
  static constexpr uint32_t kNone = UINT32_MAX;
  struct Entry {
    uint64_t band;  // hash of the band
    uint32_t text;
    uint32_t next;  // in the bucket
  };
  std::vector<uint64_t> bands_of(std::string_view text) const;
  void grow();

  RougeKind kind_;
  int num_rows_ = 1;
  int num_bands_ = 1;
  uint32_t num_texts_ = 0;
  std::vector<uint32_t> buckets_;  // last entry; a power of two
  std::vector<Entry> entries_;
};

}  // namespace selfalign::text
