// SPDX-License-Identifier: Apache-2.0
// Lists in messages.
#pragma once

#include <cstddef>
#include <functional>
#include <iterator>
#include <string>

namespace selfalign {

// "a, b, c": what `text` makes of each, or else the texts themselves.
template <typename List, typename Text = std::identity>
std::string joined(const List& list, const std::string& separator = ", ",
                   const Text& text = {}) {
  std::string all;
  bool is_first = true;
  for (const auto& one : list) {
    if (!is_first) all += separator;
    all += std::invoke(text, one);
    is_first = false;
  }
  return all;
}

// "a, b or c"
template <typename List, typename Text = std::identity>
std::string either(const List& list, const Text& text = {}) {
  std::string all;
  size_t left = std::size(list);
  for (const auto& one : list) {
    if (!all.empty()) all += left == 1 ? " or " : ", ";
    all += std::invoke(text, one);
    --left;
  }
  return all;
}

}  // namespace selfalign
