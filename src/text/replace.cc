// SPDX-License-Identifier: Apache-2.0
#include "text/replace.h"

#include <utility>

#include "text/unicode.h"

namespace selfalign::text {

std::string replace_all(std::string_view text, const Pattern* pattern,
                        std::string_view wanted, std::string_view content,
                        const std::function<void(size_t)>& check) {
  std::string out;
  size_t done = 0;
  const auto put = [&](std::string_view from, size_t begin, size_t end) {
    out.append(from, done, begin - done);
    out += content;
    check(out.size());
    done = end;
  };
  if (pattern == nullptr) {
    for (size_t at = text.find(wanted); at != std::string_view::npos;
         at = text.find(wanted, done)) {
      put(text, at, at + wanted.size());
    }
    return out.append(text, done);
  }
  Pattern::Scratch scratch;
  for_each_utf8_run(text, [&](std::string_view run, bool valid) {
    done = 0;
    if (valid) {
      Pattern::Search search(*pattern, run, scratch);
      while (search.next()) put(run, search.begin(), search.end());
    }
    out.append(run, done);
  });
  return out;
}

size_t match_at_begin(std::string_view text, const Pattern* pattern,
                      std::string_view wanted) {
  if (pattern == nullptr) return text.starts_with(wanted) ? wanted.size() : 0;
  size_t length = 0;
  bool is_first = true;
  for_each_utf8_run(text, [&](std::string_view run, bool valid) {
    if (!std::exchange(is_first, false) || !valid) return;
    Pattern::Scratch scratch;
    Pattern::Search search(*pattern, run, scratch);
    if (search.next() && search.begin() == 0) length = search.end();
  });
  return length;
}

}  // namespace selfalign::text
