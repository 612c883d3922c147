// SPDX-License-Identifier: Apache-2.0
#include "recipe/yaml_mistakes.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace selfalign::recipe {

// A document without anything has a mark before the first line.
void YamlMistakes::add(const YAML::Mark& mark, const std::string& text) {
  mistakes_.push_back(
      {std::max(mark.line, 0) + 1, std::max(mark.column, 0) + 1, text});
}

void YamlMistakes::throw_if_any() const {
  if (mistakes_.empty()) return;
  std::vector<Mistake> sorted = mistakes_;
  std::stable_sort(
      sorted.begin(), sorted.end(), [](const Mistake& a, const Mistake& b) {
        return std::pair(a.line, a.column) < std::pair(b.line, b.column);
      });
  constexpr size_t kMaxShown = 100;
  const size_t num_more = sorted.size() - std::min(sorted.size(), kMaxShown);
  sorted.resize(sorted.size() - num_more);
  std::string text;
  for (const Mistake& mistake : sorted) {
    if (!text.empty()) text += '\n';
    text +=
        str(path_, ":", mistake.line, ":", mistake.column, ": ", mistake.text);
  }
  if (num_more > 0) text += str("\n", path_, ": and ", num_more, " more");
  throw Error(ErrorKind::kUsage, text);
}

}  // namespace selfalign::recipe
