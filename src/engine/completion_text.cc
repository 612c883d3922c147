#include "engine/completion_text.h"

#include <algorithm>

#include "text/words.h"

namespace selfalign::engine {

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

}  // namespace selfalign::engine
