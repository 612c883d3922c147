#include "text/rouge.h"

#include <cstdint>
#include <unordered_map>

#include "text/lcs.h"
#include "text/unicode.h"
#include "text/words.h"

namespace selfalign::text {
std::vector<std::string> rouge_words(std::string_view text, bool ascii_only) {
  const std::string lower = to_lower(text);
  std::vector<std::string> words;
  std::string word;
  const auto end_word = [&] {
    if (!word.empty()) words.push_back(std::move(word));
    word.clear();
  };
  for (size_t pos = 0; pos < lower.size();) {
    const Utf8Char next = utf8_char(lower, pos);
    const bool ascii = next.code >= 0 && next.code < 128;
    const bool alphanumeric = next.code >= 0 && (ascii || !ascii_only) &&
                              (is_letter(next.code) || is_number(next.code) ||
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

double f_measure(size_t common, size_t sum) {
  return sum == 0 ? 0.0
                  : static_cast<double>(2 * common) / static_cast<double>(sum);
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
  return f_measure(lcs_length(x, y), x.size() + y.size());
}

}  // namespace selfalign::text
