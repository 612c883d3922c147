// SPDX-License-Identifier: Apache-2.0
#include "text/word_diff.h"

#include <algorithm>
#include <cstdint>

namespace selfalign::text {
namespace {

std::vector<DiffWord> words_of(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n\f\v";
  std::vector<DiffWord> words;
  for (size_t at = 0; at < text.size();) {
    const size_t begin = text.find_first_not_of(kSpace, at);
    if (begin == std::string_view::npos) break;
    at = std::min(text.find_first_of(kSpace, begin), text.size());
    words.push_back({std::string(text.substr(begin, at - begin)), false});
  }
  return words;
}

// lengths[i][j]: longest common subsequence of what follows i in a, j in b.
using Lengths = std::vector<std::vector<uint16_t>>;

Lengths lengths_of(const std::vector<DiffWord>& a,
                   const std::vector<DiffWord>& b, size_t n, size_t m) {
  Lengths lengths(n + 1, std::vector<uint16_t>(m + 1, 0));
  for (size_t i = n; i-- > 0;) {
    for (size_t j = m; j-- > 0;) {
      lengths[i][j] = a[i].word == b[j].word
                          ? static_cast<uint16_t>(lengths[i + 1][j + 1] + 1)
                          : std::max(lengths[i + 1][j], lengths[i][j + 1]);
    }
  }
  return lengths;
}

void mark_common(WordDiff& diff, size_t n, size_t m) {
  const Lengths lengths = lengths_of(diff.a, diff.b, n, m);
  for (size_t i = 0, j = 0; i < n && j < m;) {
    if (diff.a[i].word == diff.b[j].word) {
      diff.a[i++].common = diff.b[j++].common = true;
    } else if (lengths[i + 1][j] >= lengths[i][j + 1]) {
      ++i;
    } else {
      ++j;
    }
  }
}

}  // namespace

WordDiff diff_words(std::string_view a, std::string_view b, size_t max_words) {
  WordDiff diff{words_of(a), words_of(b), 1.0};
  const size_t total = diff.a.size() + diff.b.size();
  if (total == 0) return diff;
  if (a == b) {
    for (DiffWord& word : diff.a) word.common = true;
    for (DiffWord& word : diff.b) word.common = true;
    return diff;
  }
  const size_t limit = std::min<size_t>(max_words, UINT16_MAX);
  mark_common(diff, std::min(limit, diff.a.size()),
              std::min(limit, diff.b.size()));
  const auto common =
      std::count_if(diff.a.begin(), diff.a.end(),
                    [](const DiffWord& word) { return word.common; });
  diff.similarity = 2.0 * double(common) / double(total);
  return diff;
}

}  // namespace selfalign::text
