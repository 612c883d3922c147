// SPDX-License-Identifier: Apache-2.0
#include "eval/overlap.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "text/lcs.h"
#include "text/rouge.h"
#include "text/unicode.h"
#include "text/words.h"

namespace selfalign::eval {
namespace {

using Codes = std::vector<int32_t>;
using Ngrams = std::map<std::vector<std::string>, size_t>;

constexpr size_t kMaxOrder = 4;
constexpr text::RougeKind kRouge = text::RougeKind::kPublished;

Codes codes_of(const std::string& text) {
  Codes codes;
  for (size_t pos = 0; pos < text.size();) {
    const text::Utf8Char next = text::utf8_char(text, pos);
    codes.push_back(next.code);
    pos += next.length;
  }
  return codes;
}

// A pair of characters (a, b) of the two classes, from left to right, none
// twice; a space goes where `before` and `after` say.
template <typename First, typename Second>
Codes part(const Codes& codes, First first, Second second, bool before) {
  Codes out;
  for (size_t i = 0; i < codes.size(); ++i) {
    const bool pair =
        i + 1 < codes.size() && first(codes[i]) && second(codes[i + 1]);
    if (!pair) {
      out.push_back(codes[i]);
      continue;
    }
    if (before) out.push_back(' ');
    out.insert(out.end(), {codes[i], ' ', codes[i + 1]});
    if (!before) out.push_back(' ');
    ++i;
  }
  return out;
}

bool is_no_number(int32_t code) { return !text::is_number(code); }

Ngrams ngrams(const std::vector<std::string>& words, size_t n) {
  Ngrams counts;
  for (size_t i = 0; i + n <= words.size(); ++i) {
    ++counts[{words.begin() + ptrdiff_t(i), words.begin() + ptrdiff_t(i + n)}];
  }
  return counts;
}

size_t common(const Ngrams& a, const Ngrams& b) {
  size_t sum = 0;
  for (const auto& [ngram, count] : a) {
    const auto found = b.find(ngram);
    if (found != b.end()) sum += std::min(count, found->second);
  }
  return sum;
}

}  // namespace

std::vector<std::string> bleu_tokens(std::string_view text) {
  Codes codes = codes_of(text::fix_utf8(text));
  codes = part(codes, is_no_number, text::is_punctuation, false);
  codes = part(codes, text::is_punctuation, is_no_number, true);
  std::vector<std::string> tokens;
  std::string token;
  const auto end_token = [&] {
    if (!token.empty()) tokens.push_back(std::move(token));
    token.clear();
  };
  for (const int32_t code : codes) {
    const bool symbol = text::is_symbol(code);
    if (symbol || text::is_space(code)) end_token();
    if (!text::is_space(code)) text::append_utf8(token, code);
    if (symbol) end_token();
  }
  end_token();
  return tokens;
}

double sentence_bleu(std::string_view answer, std::string_view reference) {
  const std::vector<std::string> words = bleu_tokens(answer);
  const std::vector<std::string> wanted = bleu_tokens(reference);
  double log_sum = 0.0;
  double smoothing = 1.0;
  size_t num_matches = 0;
  for (size_t n = 1; n <= kMaxOrder; ++n) {
    if (words.size() < n) return 0.0;
    const auto total = static_cast<double>(words.size() - n + 1);
    const size_t matches = common(ngrams(words, n), ngrams(wanted, n));
    num_matches += matches;
    if (matches == 0) smoothing *= 2;
    log_sum += std::log(matches == 0 ? 1 / (smoothing * total)
                                     : static_cast<double>(matches) / total);
  }
  if (num_matches == 0) return 0.0;
  const double ratio =
      static_cast<double>(wanted.size()) / static_cast<double>(words.size());
  return std::exp(log_sum / kMaxOrder + std::min(0.0, 1 - ratio));
}

double rouge_n(std::string_view answer, std::string_view reference, size_t n) {
  const Ngrams a = ngrams(text::rouge_words(answer, kRouge), n);
  const Ngrams b = ngrams(text::rouge_words(reference, kRouge), n);
  const auto count_all = [](const Ngrams& ngrams) {
    size_t sum = 0;
    for (const auto& [ngram, count] : ngrams) sum += count;
    return sum;
  };
  return text::f_measure(common(a, b), count_all(a), count_all(b), kRouge);
}

double rouge_l_ascii(std::string_view answer, std::string_view reference) {
  std::map<std::string, uint32_t> ids;
  const auto ids_of = [&](std::string_view text) {
    std::vector<uint32_t> out;
    for (const std::string& word : text::rouge_words(text, kRouge)) {
      out.push_back(ids.emplace(word, uint32_t(ids.size())).first->second);
    }
    return out;
  };
  const std::vector<uint32_t> a = ids_of(answer);
  const std::vector<uint32_t> b = ids_of(reference);
  return text::f_measure(text::lcs_length(a, b), a.size(), b.size(), kRouge);
}

}  // namespace selfalign::eval
