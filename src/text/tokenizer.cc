// SPDX-License-Identifier: Apache-2.0
#include "text/tokenizer.h"

#include <algorithm>

namespace selfalign::text {

TokenPair encode_pair(const Tokenizer& tokenizer, std::string_view head,
                      std::string_view tail) {
  TokenPair pair;
  pair.head = tokenizer.encode(head);
  if (tail.empty()) return pair;
  std::string text(head);
  text += tail;
  const std::vector<int> whole = tokenizer.encode(text);
  const size_t most =
      std::min(pair.head.size(), whole.empty() ? 0 : whole.size() - 1);
  const auto same =
      std::mismatch(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(most),
                    pair.head.begin());
  if (same.first == whole.begin() && !pair.head.empty()) {
    pair.tail = tokenizer.encode_continuation(tail);
    return pair;
  }
  pair.head.erase(same.second, pair.head.end());
  pair.tail.assign(same.first, whole.end());
  return pair;
}

}  // namespace selfalign::text
