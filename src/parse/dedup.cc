// SPDX-License-Identifier: Apache-2.0
#include "parse/dedup.h"

#include "base/counted.h"

namespace selfalign::parse {

std::optional<std::string> Dedup::find(const std::string& text) const {
  const auto match = index_.find_above(text);
  if (!match) return std::nullopt;
  return rounded(match->score, 2) + " with: " + kept_[match->index];
}

void Dedup::keep(const std::string& text) {
  index_.add(text);
  kept_.push_back(text);
}

}  // namespace selfalign::parse
