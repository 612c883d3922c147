#include "text/rouge.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "text/unicode.h"
#include "text/words.h"

namespace selfalign::text {
namespace {

// Words of `a` as bit masks, for the LCS with many `b`.
class LcsPattern {
 public:
  explicit LcsPattern(const std::vector<uint32_t>& a)
      : size_(a.size()), num_blocks_((a.size() + 63) / 64) {
    for (size_t i = 0; i < a.size(); ++i) {
      const auto row = rows_.emplace(a[i], rows_.size()).first->second;
      masks_.resize(rows_.size() * num_blocks_);
      masks_[row * num_blocks_ + i / 64] |= uint64_t{1} << (i % 64);
    }
  }

  // Hyyrö's recurrence: a zero in V marks where the LCS with the prefix of b
  // read so far grows; V' = (V + (V & M)) | (V & ~M).
  size_t length_with(const std::vector<uint32_t>& b) const {
    std::vector<uint64_t> v(num_blocks_, ~uint64_t{0});
    for (const uint32_t word : b) {
      const auto found = rows_.find(word);
      if (found == rows_.end()) continue;
      const uint64_t* mask = &masks_[found->second * num_blocks_];
      uint64_t carry = 0;
      for (size_t k = 0; k < num_blocks_; ++k) {
        const uint64_t common = v[k] & mask[k];
        const uint64_t half = v[k] + common;
        const uint64_t sum = half + carry;
        carry = uint64_t{half < common} | uint64_t{sum < half};
        v[k] = sum | (v[k] & ~mask[k]);
      }
    }
    size_t zeros = 0;
    for (size_t k = 0; k < num_blocks_; ++k) {
      const size_t used = std::min<size_t>(64, size_ - 64 * k);
      const uint64_t in_use =
          used == 64 ? ~uint64_t{0} : (uint64_t{1} << used) - 1;
      zeros += static_cast<size_t>(std::popcount(~v[k] & in_use));
    }
    return zeros;
  }

 private:
  size_t size_;
  size_t num_blocks_;
  std::unordered_map<uint32_t, size_t> rows_;
  std::vector<uint64_t> masks_;  // [rows, blocks]
};

// 2 l / (m + n), rounded once: scores of equal ratios are equal.
double f_measure(size_t common, size_t m, size_t n) {
  return m + n == 0
             ? 0.0
             : static_cast<double>(2 * common) / static_cast<double>(m + n);
}

// Common elements of two sorted lists, counted with repetition.
size_t count_common(const std::vector<uint32_t>& a,
                    const std::vector<uint32_t>& b) {
  size_t common = 0;
  for (size_t i = 0, j = 0; i < a.size() && j < b.size();) {
    if (a[i] == b[j]) {
      ++common;
      ++i;
      ++j;
    } else if (a[i] < b[j]) {
      ++i;
    } else {
      ++j;
    }
  }
  return common;
}

}  // namespace

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

size_t lcs_length(const std::vector<uint32_t>& a,
                  const std::vector<uint32_t>& b) {
  return LcsPattern(a).length_with(b);
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

std::vector<uint32_t> RougeIndex::ids_of(
    const std::vector<std::string>& words) const {
  std::vector<uint32_t> ids;
  ids.reserve(words.size());
  for (const std::string& word : words) {
    const auto found = words_.find(word);
    ids.push_back(found == words_.end() ? UINT32_MAX : found->second);
  }
  return ids;
}

void RougeIndex::add(std::string_view text) {
  Text kept;
  const auto number = static_cast<uint32_t>(texts_.size());
  for (const std::string& word : rouge_words(text)) {
    const auto id = words_.emplace(word, static_cast<uint32_t>(words_.size()))
                        .first->second;
    if (id == holders_.size()) holders_.emplace_back();
    auto& holders = holders_[id];
    if (holders.empty() || holders.back() != number) holders.push_back(number);
    kept.ids.push_back(id);
  }
  kept.sorted = kept.ids;
  std::sort(kept.sorted.begin(), kept.sorted.end());
  texts_.push_back(std::move(kept));
}

// Texts that can score above `threshold` >= 0, ascending.
std::vector<uint32_t> RougeIndex::candidates(std::vector<uint32_t> query,
                                             double threshold) const {
  const auto num_holders = [&](uint32_t id) {
    return id == UINT32_MAX ? 0 : holders_[id].size();
  };
  std::sort(query.begin(), query.end(), [&](uint32_t a, uint32_t b) {
    const size_t x = num_holders(a);
    const size_t y = num_holders(b);
    return x != y ? x < y : a < b;
  });
  // One less than the bound says, so that rounding cannot lose a text.
  const double shared =
      threshold * static_cast<double>(query.size()) / (2.0 - threshold);
  const auto sure = static_cast<size_t>(std::max(
      1.0,
      std::min(std::ceil(shared) - 1.0, static_cast<double>(query.size()))));
  std::vector<uint32_t> found;
  for (size_t i = 0; i + sure < query.size() + 1; ++i) {
    if (i > 0 && query[i] == query[i - 1]) continue;
    if (query[i] == UINT32_MAX) continue;
    const auto& holders = holders_[query[i]];
    found.insert(found.end(), holders.begin(), holders.end());
  }
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

std::optional<RougeIndex::Match> RougeIndex::find_above(
    std::string_view text, double threshold) const {
  if (threshold >= 1.0) return std::nullopt;
  std::optional<Match> best;
  if (threshold < 0.0 && !texts_.empty()) {  // then any text will do
    best = Match{0, 0.0};
    threshold = 0.0;
  }
  const std::vector<uint32_t> query = ids_of(rouge_words(text));
  if (query.empty()) return best;
  std::vector<uint32_t> sorted = query;
  std::sort(sorted.begin(), sorted.end());
  const LcsPattern pattern(query);
  for (const uint32_t number : candidates(query, threshold)) {
    const Text& kept = texts_[number];
    const size_t m = query.size();
    const size_t n = kept.ids.size();
    if (f_measure(std::min(m, n), m, n) <= threshold) continue;
    if (f_measure(count_common(sorted, kept.sorted), m, n) <= threshold) {
      continue;
    }
    const double score = f_measure(pattern.length_with(kept.ids), m, n);
    if (score > threshold) {
      best = Match{number, score};
      threshold = score;
    }
  }
  return best;
}

}  // namespace selfalign::text
