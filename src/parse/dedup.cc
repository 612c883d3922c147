#include "parse/dedup.h"

#include <algorithm>
#include <iomanip>
#include <sstream>

namespace selfalign::parse {

std::optional<std::string> Dedup::find(const std::string& text) const {
  const auto match = min_hash_
                         ? index_.find_among(text, min_hash_->candidates(text))
                         : index_.find_above(text);
  if (!match) return std::nullopt;
  std::ostringstream detail;
  detail << std::fixed << std::setprecision(2) << match->score
         << " with: " << kept_[match->index];
  return detail.str();
}

void Dedup::keep(const std::string& text) {
  index_.add(text);
  kept_.push_back(text);
  if (min_hash_) {
    min_hash_->add(text);
  } else if (index_.num_words() > max_exact_words_ && threshold_ < 1.0) {
    text::MinHashOptions options;
    options.min_rouge_l = std::max(0.1, threshold_);
    options.kind = kind_;
    min_hash_ = std::make_unique<text::MinHashIndex>(options);
    for (const std::string& one : kept_) min_hash_->add(one);
  }
}

}  // namespace selfalign::parse
