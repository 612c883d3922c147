// SPDX-License-Identifier: Apache-2.0
#include "generate/completion_text.h"

#include <algorithm>

#include "text/words.h"

namespace selfalign::generate {

CompletionText::CompletionText(std::vector<std::string> stop)
    : stop_(std::move(stop)) {
  std::erase(stop_, "");
  for (const std::string& s : stop_) longest_ = std::max(longest_, s.size());
}

bool CompletionText::append(std::string_view bytes) {
  const size_t seen = bytes_.size();
  bytes_ += bytes;
  // A new match ends in the new bytes, so it begins at most this far back.
  const size_t from = seen - std::min(seen, longest_ > 0 ? longest_ - 1 : 0);
  size_t cut = std::string::npos;
  for (const std::string& s : stop_) {
    cut = std::min(cut, bytes_.find(s, from));
  }
  if (cut == std::string::npos) return false;
  bytes_.resize(cut);
  return true;
}

std::string CompletionText::text() const { return text::fix_utf8(bytes_); }

std::string CompletionText::take_certain() {
  const std::string_view rest = std::string_view(bytes_).substr(taken_);
  // The longest end that a stop string may begin with.
  size_t held = std::min(rest.size(), longest_ > 0 ? longest_ - 1 : 0);
  const auto may_stop = [&](std::string_view end) {
    return std::any_of(stop_.begin(), stop_.end(),
                       [&](auto& s) { return s.starts_with(end); });
  };
  while (held > 0 && !may_stop(rest.substr(rest.size() - held))) --held;
  const std::string_view whole = rest.substr(0, rest.size() - held);
  const std::string_view certain =
      whole.substr(0, text::complete_utf8_prefix_length(whole));
  taken_ += certain.size();
  return text::fix_utf8(certain);
}

std::string CompletionText::take_rest() {
  const std::string rest =
      text::fix_utf8(std::string_view(bytes_).substr(taken_));
  taken_ = bytes_.size();
  return rest;
}

}  // namespace selfalign::generate
