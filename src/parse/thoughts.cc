// SPDX-License-Identifier: Apache-2.0
#include "parse/thoughts.h"

#include <algorithm>

namespace selfalign::parse {
namespace {

// Position of the first line at or after `from` that starts with `tag`.
size_t find_line(const std::string& text, size_t from, const std::string& tag) {
  if (from == 0 && text.rfind(tag, 0) == 0) return 0;
  const size_t at = text.find("\n" + tag, from);
  return at == std::string::npos ? at : at + 1;
}

}  // namespace

std::string trim(const std::string& text) {
  const char* const kSpace = " \t\r\n\f\v";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

ThoughtfulAnswer split_thought(const std::string& text,
                               const std::string& answer_tag,
                               const std::vector<std::string>& tags) {
  ThoughtfulAnswer parts;
  const size_t at = find_line(text, 0, answer_tag);
  parts.has_answer = at != std::string::npos;
  parts.thought = trim(text.substr(0, at));
  if (!parts.has_answer) return parts;
  const size_t begin = at + answer_tag.size();
  size_t end = std::string::npos;
  for (const std::string& tag : tags) {
    end = std::min(end, find_line(text, begin, tag));
  }
  parts.closed = end != std::string::npos;
  parts.answer = trim(text.substr(begin, parts.closed ? end - begin : end));
  return parts;
}

}  // namespace selfalign::parse
