// SPDX-License-Identifier: Apache-2.0
#include "text/words.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "text/unicode.h"

namespace selfalign::text {

size_t count_words(std::string_view text) {
  size_t count = 0;
  bool inside = false;
  for (size_t pos = 0; pos < text.size();) {
    const Utf8Char next = utf8_char(text, pos);
    const bool space = next.code >= 0 && is_space(next.code);
    if (!space && !inside) ++count;
    inside = !space;
    pos += next.length;
  }
  return count;
}

bool is_valid_utf8(std::string_view bytes) {
  for (size_t pos = 0; pos < bytes.size();) {
    const Utf8Char next = utf8_char(bytes, pos);
    if (next.code < 0) return false;
    pos += next.length;
  }
  return true;
}

std::string fix_utf8(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  for (size_t pos = 0; pos < bytes.size();) {
    const Utf8Char next = utf8_char(bytes, pos);
    if (next.code < 0) {
      out += "\xEF\xBF\xBD";
    } else {
      out.append(bytes, pos, next.length);
    }
    pos += next.length;
  }
  return out;
}

size_t complete_utf8_prefix_length(std::string_view bytes) {
  for (size_t back = 1; back <= std::min<size_t>(3, bytes.size()); ++back) {
    const size_t pos = bytes.size() - back;
    const auto byte = static_cast<unsigned char>(bytes[pos]);
    if (byte >= 0x80 && byte < 0xC0) continue;  // inside a character
    const bool is_lead = byte >= 0xC2 && byte <= 0xF4;
    const Utf8Char last = utf8_char(bytes, pos);
    const bool cut = is_lead && last.code < 0 && last.length == back;
    return cut ? pos : bytes.size();
  }
  return bytes.size();
}

std::string_view trim(std::string_view text) {
  size_t begin = text.size();
  size_t end = 0;
  for (size_t pos = 0; pos < text.size();) {
    const Utf8Char next = utf8_char(text, pos);
    if (next.code < 0 || !is_space(next.code)) {
      begin = std::min(begin, pos);
      end = pos + next.length;
    }
    pos += next.length;
  }
  return begin < end ? text.substr(begin, end - begin) : text.substr(0, 0);
}

std::string to_lower(std::string_view text) {
  return to_form(text, TextForm::kLower);
}

std::vector<std::string_view> split_lines(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    if (end < text.size() && line.ends_with('\r')) line.remove_suffix(1);
    lines.push_back(line);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t substitute = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({substitute, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

std::string nearest(const std::string& word,
                    const std::vector<std::string>& known) {
  std::string best;
  size_t best_distance = std::max<size_t>(1, (word.size() + 1) / 3) + 1;
  for (const std::string& candidate : known) {
    const size_t longer = std::max(word.size(), candidate.size());
    const size_t shorter = std::min(word.size(), candidate.size());
    if (longer - shorter >= best_distance) continue;  // however alike
    const size_t distance = edit_distance(word, candidate);
    if (distance >= best_distance) continue;
    best_distance = distance;
    best = candidate;
  }
  return best;
}

std::string did_you_mean(const std::string& word,
                         const std::vector<std::string>& known) {
  const std::string near = nearest(word, known);
  return near.empty() ? "" : str("; did you mean \"", near, "\"?");
}

}  // namespace selfalign::text
