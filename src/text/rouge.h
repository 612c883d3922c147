// ROUGE-L F-measure (Lin 2004, section 3) on lower-case alphanumeric words, as
// Self-Instruct uses it for de-duplication.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace selfalign::text {

// Lower-case runs of Unicode letters and digits with their combining marks;
// Han and Kana, which are written without spaces, one character a word. With
// `ascii_only`, runs of a-z and 0-9 alone (the published tool).
std::vector<std::string> rouge_words(std::string_view text,
                                     bool ascii_only = false);

// The score of two texts with `sum` words together and an LCS of `common`:
// 2 common / sum, rounded once, so that scores of equal ratios are equal.
double f_measure(size_t common, size_t sum);

// F1 of ROUGE-L between two texts, in [0, 1]; 0 if either has no words.
double rouge_l(std::string_view a, std::string_view b);

}  // namespace selfalign::text
