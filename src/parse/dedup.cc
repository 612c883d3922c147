// SPDX-License-Identifier: Apache-2.0
#include "parse/dedup.h"

#include <iomanip>
#include <sstream>

namespace selfalign::parse {

std::optional<std::string> Dedup::find(const std::string& text) const {
  const auto match = index_.find_above(text);
  if (!match) return std::nullopt;
  std::ostringstream detail;
  detail << std::fixed << std::setprecision(2) << match->score
         << " with: " << kept_[match->index];
  return detail.str();
}

void Dedup::keep(const std::string& text) {
  index_.add(text);
  kept_.push_back(text);
}

}  // namespace selfalign::parse
