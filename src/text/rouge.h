// ROUGE-L F-measure (Lin 2004, section 3) on lower-case alphanumeric words, as
// Self-Instruct uses it for de-duplication, with a bit-parallel LCS (Hyyrö
// 2004): exact, one 64-bit word of the pattern per step.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace selfalign::text {

// Lower-case runs of Unicode letters and digits with their combining marks;
// Han and Kana, which are written without spaces, one character a word. With
// `ascii_only`, runs of a-z and 0-9 alone (the published tool).
std::vector<std::string> rouge_words(std::string_view text,
                                     bool ascii_only = false);

// Length of the longest common subsequence.
size_t lcs_length(const std::vector<uint32_t>& a,
                  const std::vector<uint32_t>& b);

// F1 of ROUGE-L between two texts, in [0, 1]; 0 if either has no words.
double rouge_l(std::string_view a, std::string_view b);

// Texts kept so far; finds whether a new one is too close to any of them.
//
// With m and n words and a longest common subsequence of l, the score is
// 2 l / (m + n). Since l <= min(m, n), and l <= c, the number of common words
// counted with repetition, a text whose 2 min(m, n) / (m + n) or
// 2 c / (m + n) is not above the threshold cannot be a match. The length bound
// also says that a match shares at least L = threshold m / (2 - threshold)
// words with the query, so it holds one of any m - ceil(L) + 1 of them: only
// texts that hold one of the query's rarest words are looked at.
class RougeIndex {
 public:
  struct Match {
    size_t index;  // of the kept text, in order of add()
    double score;
  };
  // The kept text with the highest score above `threshold` (first on a tie),
  // exactly: candidates are skipped only by bounds that prove they are below.
  std::optional<Match> find_above(std::string_view text,
                                  double threshold) const;
  void add(std::string_view text);
  size_t size() const { return texts_.size(); }

 private:
  // Ids of the words; unseen words get ids that no kept text has.
  std::vector<uint32_t> ids_of(const std::vector<std::string>& words) const;
  std::vector<uint32_t> candidates(std::vector<uint32_t> query,
                                   double threshold) const;

  struct Text {
    std::vector<uint32_t> ids;     // in order of the text
    std::vector<uint32_t> sorted;  // the same, sorted
  };
  std::unordered_map<std::string, uint32_t> words_;
  std::vector<Text> texts_;
  std::vector<std::vector<uint32_t>> holders_;  // by word: texts, ascending
};

}  // namespace selfalign::text
