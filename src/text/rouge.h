// SPDX-License-Identifier: Apache-2.0
// ROUGE-L F-measure (Lin 2004, section 3) on lower-case alphanumeric words, as
// Self-Instruct uses it for de-duplication.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace selfalign::text {

enum class RougeKind {
  // Words are lower-case runs of Unicode letters and digits with their
  // combining marks; Han and Kana, which are written without spaces, one
  // character a word. Scores are rounded once, so that those of equal ratios
  // are equal.
  kUnicode,
  // The published tool (Python's rouge_score, without its stemmer): words are
  // runs of a-z and 0-9 of the text in lower case, and a score is rounded as
  // 2 p r / (p + r) is there, p and r being the shares that are common. Of the
  // ratios that are just 0.7, about half come out above 0.7.
  kPublished,
};

std::vector<std::string> rouge_words(std::string_view text,
                                     RougeKind kind = RougeKind::kUnicode);

// The score of two texts of a and b words with an LCS of `common`:
// 2 common / (a + b); 0 if there are no words.
double f_measure(size_t common, size_t a, size_t b,
                 RougeKind kind = RougeKind::kUnicode);

// F1 of ROUGE-L between two texts, in [0, 1]; 0 if either has no words.
double rouge_l(std::string_view a, std::string_view b);

}  // namespace selfalign::text
