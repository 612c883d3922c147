// SPDX-License-Identifier: Apache-2.0
// Which words of two texts are the same: a longest common subsequence of words
// as they stand between white space.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace selfalign::text {

struct DiffWord {
  std::string word;
  bool common = false;  // also in the other text, at its place
};
struct WordDiff {
  std::vector<DiffWord> a;
  std::vector<DiffWord> b;
  double similarity = 0.0;  // 2 common / (words of a + words of b); 1 if none
};
// Of texts over `max_words` words only so many are compared: what follows
// counts as different, unless both texts are the same.
WordDiff diff_words(std::string_view a, std::string_view b,
                    size_t max_words = 2000);

}  // namespace selfalign::text
