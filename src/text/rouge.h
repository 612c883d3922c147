// ROUGE-L F-measure (Lin 2004, section 3) on lower-case alphanumeric words, as
// Self-Instruct uses it for de-duplication, with a bit-parallel LCS (Hyyrö
// 2004): exact, one 64-bit word of the pattern per step.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace selfalign::text {

// Lower-case runs of ASCII letters and digits; other scripts: runs of Unicode
// letters and digits (the published tool drops them; `ascii_only` does too).
std::vector<std::string> rouge_words(std::string_view text,
                                     bool ascii_only = false);

// Length of the longest common subsequence.
size_t lcs_length(const std::vector<uint32_t>& a,
                  const std::vector<uint32_t>& b);

// F1 of ROUGE-L between two texts, in [0, 1]; 0 if either has no words.
double rouge_l(std::string_view a, std::string_view b);

// Texts kept so far; finds whether a new one is too close to any of them.
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
  std::vector<uint32_t> ids_of(const std::vector<std::string>& words) const;

  std::unordered_map<std::string, uint32_t> words_;
  std::vector<std::vector<uint32_t>> texts_;
};

}  // namespace selfalign::text
