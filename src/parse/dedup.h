// De-duplication against everything kept (paper: section 3.1; Self-Instruct,
// Wang et al. 2022): a new text is a duplicate if its ROUGE-L with any text
// kept before, or with any seed, is above the threshold. Exact as long as that
// takes minutes (measured: 100,000 short instructions 9 s, 300,000 under four
// minutes, in all). Where more words are kept than that, candidates come from
// MinHash, which finds at least 95 % of the matches that just reach the
// threshold and nearly all that are closer, and ROUGE-L decides on them. Not
// earlier: on short texts the exact search is the faster one
// (bench/dedup_bench.cc).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "text/minhash.h"
#include "text/rouge_index.h"

namespace selfalign::parse {

class Dedup {
 public:
  // Words kept up to which the search is exact: 1.3 million instructions of 15
  // words, or 120,000 texts of 170.
  static constexpr size_t kMaxExactWords = 20'000'000;

  explicit Dedup(double threshold,
                 text::RougeKind kind = text::RougeKind::kUnicode,
                 size_t max_exact_words = kMaxExactWords)
      : threshold_(threshold),
        kind_(kind),
        max_exact_words_(max_exact_words),
        index_(threshold, kind) {}

  // What `text` duplicates, for the person: "0.83 with: ...".
  std::optional<std::string> find(const std::string& text) const;
  void keep(const std::string& text);

 private:
  double threshold_;
  text::RougeKind kind_;
  size_t max_exact_words_;
  text::RougeIndex index_;
  std::unique_ptr<text::MinHashIndex> min_hash_;  // once there are more words
  std::vector<std::string> kept_;
};

}  // namespace selfalign::parse
