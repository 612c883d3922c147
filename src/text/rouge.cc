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
constexpr char kLowerDottedI[] = "i\xCC\x87";

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
  std::vector<std::string> words;
  std::string word;
  const auto end_word = [&] {
    if (!word.empty()) words.push_back(std::move(word));
    word.clear();
  };
  for (size_t pos = 0; pos < text.size();) {
    const char c = text[pos];
    if (static_cast<unsigned char>(c) < 0x80) {  // most: without tables
      const char lower = c >= 'A' && c <= 'Z' ? char(c + 32) : c;
      if ((lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9')) {
        word += lower;
      } else {
        end_word();
      }
      ++pos;
      continue;
    }
    const Utf8Char next = utf8_char(text, pos);
    pos += next.length;
    if (next.code == kDottedI) {
      word += kLowerDottedI;
      continue;
    }
    const int32_t code = next.code < 0 ? next.code : lower_char(next.code);
    const bool alphanumeric =
        code >= 0 && (is_letter(code) || is_number(code) ||
                      (is_mark(code) && !word.empty()));
    const bool alone = alphanumeric && is_unspaced(code);
    if (!alphanumeric || alone) end_word();
    if (alphanumeric) append_utf8(word, code);
    if (alone) end_word();
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
  const std::vector<std::string> words_of_a = rouge_words(a);
  const std::vector<std::string> words_of_b = rouge_words(b);
  std::unordered_map<std::string_view, uint32_t> numbers;
  numbers.reserve(words_of_a.size() + words_of_b.size());
  const auto ids_of = [&](const std::vector<std::string>& words) {
    std::vector<uint32_t> ids;
    ids.reserve(words.size());
    for (const std::string& word : words) {
      const auto next = static_cast<uint32_t>(numbers.size());
      ids.push_back(numbers.emplace(word, next).first->second);
    }
    return ids;
  };
  const auto x = ids_of(words_of_a);
  const auto y = ids_of(words_of_b);
  return f_measure(lcs_length(x, y), x.size(), y.size());
}

}  // namespace selfalign::text
