// SPDX-License-Identifier: Apache-2.0
#include "text/rouge.h"

#include <cstdint>
#include <unordered_map>

#include "text/lcs.h"
#include "text/unicode.h"
#include "text/words.h"

namespace selfalign::text {
namespace {

constexpr int32_t kKelvin = 0x212A;   // K; its lower case is a plain k
constexpr int32_t kDottedI = 0x0130;  // its lower case is i and a mark

std::vector<std::string> published_words(std::string_view text) {
  std::vector<std::string> words;
  bool inside = false;
  const auto add = [&](char c) {
    if (!inside) words.emplace_back();
    inside = true;
    words.back() += c;
  };
  for (size_t pos = 0; pos < text.size();) {
    const Utf8Char next = utf8_char(text, pos);
    pos += next.length;
    if (next.code >= 'A' && next.code <= 'Z') {
      add(char(next.code + 32));
    } else if ((next.code >= 'a' && next.code <= 'z') ||
               (next.code >= '0' && next.code <= '9')) {
      add(char(next.code));
    } else if (next.code == kKelvin) {
      add('k');
    } else {
      if (next.code == kDottedI) add('i');
      inside = false;
    }
  }
  return words;
}

}  // namespace

std::vector<std::string> rouge_words(std::string_view text, RougeKind kind) {
  if (kind == RougeKind::kPublished) return published_words(text);
  const std::string lower = to_lower(text);
  std::vector<std::string> words;
  std::string word;
  const auto end_word = [&] {
    if (!word.empty()) words.push_back(std::move(word));
    word.clear();
  };
  for (size_t pos = 0; pos < lower.size();) {
    const Utf8Char next = utf8_char(lower, pos);
    const bool alphanumeric =
        next.code >= 0 && (is_letter(next.code) || is_number(next.code) ||
                           (is_mark(next.code) && !word.empty()));
    const bool alone = alphanumeric && is_unspaced(next.code);
    if (!alphanumeric || alone) end_word();
    if (alphanumeric) word.append(lower, pos, next.length);
    if (alone) end_word();
    pos += next.length;
  }
  end_word();
  return words;
}

double f_measure(size_t common, size_t a, size_t b, RougeKind kind) {
  if (common == 0) return 0.0;
  if (kind == RougeKind::kUnicode) return double(2 * common) / double(a + b);
  const double p = double(common) / double(a);
  const double r = double(common) / double(b);
  return 2.0 * p * r / (p + r);
}

double rouge_l(std::string_view a, std::string_view b) {
  std::unordered_map<std::string, uint32_t> words;
  const auto ids_of = [&](std::string_view text) {
    std::vector<uint32_t> ids;
    for (std::string& word : rouge_words(text)) {
      const auto next = static_cast<uint32_t>(words.size());
      ids.push_back(words.emplace(std::move(word), next).first->second);
    }
    return ids;
  };
  const auto x = ids_of(a);
  const auto y = ids_of(b);
  return f_measure(lcs_length(x, y), x.size(), y.size());
}

}  // namespace selfalign::text
