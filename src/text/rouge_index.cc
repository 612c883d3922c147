// SPDX-License-Identifier: Apache-2.0
#include "text/rouge_index.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>

#include "text/lcs.h"
#include "text/rouge.h"

namespace selfalign::text {
namespace {

constexpr uint32_t kUnknown = UINT32_MAX;  // a word or token of no kept text
constexpr int32_t kUnknownRank = std::numeric_limits<int32_t>::min();
constexpr uint32_t kNever = UINT32_MAX;  // more than any text can share
constexpr ptrdiff_t kMaxUnsorted = 32;   // postings of a token

// Common elements of two sorted lists; 0 if they are fewer than `needed`.
size_t count_common(const std::vector<int32_t>& a,
                    const std::vector<int32_t>& b, size_t needed) {
  size_t common = 0;
  for (size_t i = 0, j = 0; i < a.size() && j < b.size();) {
    if (common + std::min(a.size() - i, b.size() - j) < needed) return 0;
    common += a[i] == b[j];
    const bool next_a = a[i] <= b[j];
    const bool next_b = b[j] <= a[i];
    i += next_a;
    j += next_b;
  }
  return common < needed ? 0 : common;
}

int num_unlike(const RougeSketch& a, const RougeSketch& b) {
  return std::popcount(a[0] ^ b[0]) + std::popcount(a[1] ^ b[1]);
}

}  // namespace

uint32_t RougeIndex::token_of(uint32_t word, uint32_t occurrence) const {
  const auto found = tokens_.find(uint64_t{word} << 32 | occurrence);
  return found == tokens_.end() ? kUnknown : found->second;
}

uint32_t RougeIndex::make_token(uint32_t word, uint32_t occurrence) {
  const auto next = static_cast<uint32_t>(tokens_.size());
  const auto token =
      tokens_.emplace(uint64_t{word} << 32 | occurrence, next).first->second;
  if (token == next) {
    num_holders_.push_back(0);
    postings_.emplace_back();
  }
  return token;
}

int32_t RougeIndex::rank_of(uint32_t token) const {
  if (token == kUnknown) return kUnknownRank;
  if (token < ranks_.size()) return ranks_[token];
  return -1 - static_cast<int32_t>(token - ranks_.size());
}

uint32_t RougeIndex::token_at(int32_t rank) const {
  if (rank >= 0) return by_rank_[static_cast<size_t>(rank)];
  return static_cast<uint32_t>(ranks_.size()) +
         static_cast<uint32_t>(-1 - rank);
}

std::vector<int32_t> RougeIndex::ranks_of(std::vector<uint32_t> words) const {
  std::sort(words.begin(), words.end());
  std::vector<int32_t> ranks;
  ranks.reserve(words.size());
  uint32_t occurrence = 0;
  for (size_t i = 0; i < words.size(); ++i) {
    occurrence = i > 0 && words[i] == words[i - 1] ? occurrence + 1 : 0;
    ranks.push_back(rank_of(
        words[i] == kUnknown ? kUnknown : token_of(words[i], occurrence)));
  }
  std::sort(ranks.begin(), ranks.end());
  return ranks;
}

// The estimate may be off by rounding; the comparison of the scores decides.
// A published score is off by less than kRounding.
size_t RougeIndex::need(size_t sum) const {
  constexpr double kRounding = 1e-12;
  const bool exact = kind_ == RougeKind::kUnicode;
  const double above = exact ? threshold_ : threshold_ - kRounding;
  const auto score = [sum](size_t common) {
    return double(2 * common) / double(sum);
  };
  auto least = static_cast<size_t>(
      std::max(0.0, threshold_ * static_cast<double>(sum) / 2.0));
  while (least > 0 && score(least - 1) > above) --least;
  while (score(least) <= above) ++least;
  return std::max<size_t>(least, 1);
}

size_t RougeIndex::prefix_length(size_t length) const {
  size_t shortest = length;
  while (shortest > 1 && need(shortest - 1 + length) <= shortest - 1) {
    --shortest;
  }
  return length - need(shortest + length) + 1;
}

// By length of a kept text: the common words that a match with a query of
// `length` words needs; kNever where it has too few.
RougeIndex::Needed RougeIndex::needed_with(size_t length) const {
  Needed needed;
  for (size_t n = 0; n <= max_length_; ++n) {
    const size_t least = need(length + n);
    if (n > length && least > length) break;  // longer ones need still more
    needed.push_back(least <= n ? static_cast<uint32_t>(least) : kNever);
  }
  return needed;
}

RougeSketch RougeIndex::sketch_of(const int32_t* begin,
                                  const int32_t* end) const {
  RougeSketch sketch{};
  for (; begin != end; ++begin) {
    const uint64_t bit =
        (token_at(*begin) * uint64_t{0x9E3779B97F4A7C15}) >> 57;
    sketch[bit / 64] ^= uint64_t{1} << (bit % 64);
  }
  return sketch;
}

// Kept texts that no bound excludes, ascending.
RougeIndex::Numbers RougeIndex::candidates(const std::vector<int32_t>& ranks,
                                           const Needed& needed) const {
  const size_t num_words = ranks.size();
  const size_t num_unknown = static_cast<size_t>(
      std::count(ranks.begin(), ranks.end(), kUnknownRank));  // come first
  const RougeSketch sketch =
      sketch_of(ranks.data() + num_unknown, ranks.data() + num_words);
  size_t shortest = 0;
  while (shortest < needed.size() && needed[shortest] == kNever) ++shortest;
  std::vector<int> most_unlike(needed.size(), -1);  // bits, by length
  for (size_t n = shortest; n < needed.size(); ++n) {
    most_unlike[n] = static_cast<int>(num_words + n) -
                     2 * static_cast<int>(needed[n]) -
                     static_cast<int>(num_unknown);
  }
  Numbers found;
  size_t end = needed.size();  // of the lengths that a match may have
  for (size_t i = 0; i < num_words; ++i) {
    while (end > shortest && needed[end - 1] > num_words - i) --end;
    if (end == shortest) break;  // too few words are left
    if (i < num_unknown) continue;
    const auto look_at = [&](const Posting& one) {
      if (one.num_left >= needed[one.length] &&
          num_unlike(one.sketch, sketch) <= most_unlike[one.length]) {
        found.push_back(one.text);
      }
    };
    const Postings& postings = postings_[token_at(ranks[i])];
    const auto sorted_end = postings.all.begin() + postings.num_sorted;
    for (auto one = std::lower_bound(
             postings.all.begin(), sorted_end, shortest,
             [](const Posting&a, size_t length) { return a.length < length; });
         one != sorted_end && one->length < end; ++one) {
      look_at(*one);
    }
    for (auto one = sorted_end; one != postings.all.end(); ++one) {
      if (one->length >= shortest && one->length < end) look_at(*one);
    }
  }
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

std::optional<RougeIndex::Match> RougeIndex::find_above(
    std::string_view text) const {
  std::optional<Match> best;
  if (takes_any_ && !texts_.empty()) best = Match{0, 0.0};
  std::vector<uint32_t> words;
  for (const std::string& word : rouge_words(text, kind_)) {
    const auto found = words_.find(word);
    words.push_back(found == words_.end() ? kUnknown : found->second);
  }
  if (words.empty() || threshold_ >= 1.0) return best;
  const std::vector<int32_t> ranks = ranks_of(words);
  const Needed needed = needed_with(words.size());
  const LcsPattern pattern(words);
  double highest = threshold_;
  for (const uint32_t number : candidates(ranks, needed)) {
    const Text& kept = texts_[number];
    if (kept.words.size() >= needed.size()) continue;
    const auto score_of = [&](size_t common) {
      return f_measure(common, words.size(), kept.words.size(), kind_);
    };
    const size_t least = needed[kept.words.size()];
    const size_t common = count_common(ranks, kept.ranks, least);
    if (common == 0 || score_of(common) <= highest) continue;
    const double score = score_of(pattern.length_with(kept.words, least));
    if (score > highest) {
      best = Match{number, score};
      highest = score;
    }
  }
  return best;
}

void RougeIndex::add(std::string_view text) {
  Text kept;
  for (std::string& word : rouge_words(text, kind_)) {
    const auto next = static_cast<uint32_t>(words_.size());
    kept.words.push_back(words_.emplace(std::move(word), next).first->second);
  }
  std::vector<uint32_t> sorted = kept.words;
  std::sort(sorted.begin(), sorted.end());
  uint32_t occurrence = 0;
  for (size_t i = 0; i < sorted.size(); ++i) {
    occurrence = i > 0 && sorted[i] == sorted[i - 1] ? occurrence + 1 : 0;
    ++num_holders_[make_token(sorted[i], occurrence)];
  }
  kept.ranks = ranks_of(kept.words);
  max_length_ = std::max(max_length_, kept.words.size());
  texts_.push_back(std::move(kept));
  if (texts_.size() >= order_at_) {
    order_at_ *= 2;
    put_in_order();
  } else {
    enter(static_cast<uint32_t>(texts_.size() - 1));
  }
}

void RougeIndex::enter(uint32_t number) {
  const std::vector<int32_t>& ranks = texts_[number].ranks;
  if (ranks.empty() || threshold_ >= 1.0) return;
  const auto length = static_cast<uint32_t>(ranks.size());
  const auto prefix = static_cast<uint32_t>(prefix_length(length));
  const RougeSketch sketch = sketch_of(ranks.data(), ranks.data() + length);
  for (uint32_t place = 0; place < prefix; ++place) {
    Postings& postings = postings_[token_at(ranks[place])];
    postings.all.push_back({sketch, number, length - place, length});
    if (std::ssize(postings.all) - postings.num_sorted >
        kMaxUnsorted + postings.num_sorted / 4) {
      postings.sort();
    }
  }
}

void RougeIndex::Postings::sort() {
  const auto is_shorter = [](const Posting& a, const Posting& b) {
    return a.length < b.length;
  };
  const auto middle = all.begin() + num_sorted;
  std::sort(middle, all.end(), is_shorter);
  std::inplace_merge(all.begin(), middle, all.end(), is_shorter);
  num_sorted = static_cast<ptrdiff_t>(all.size());
}

void RougeIndex::put_in_order() {
  std::vector<uint32_t> order(num_holders_.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [this](uint32_t a, uint32_t b) {
    return num_holders_[a] != num_holders_[b]
               ? num_holders_[a] < num_holders_[b]
               : a < b;
  });
  ranks_.resize(order.size());
  for (size_t rank = 0; rank < order.size(); ++rank) {
    ranks_[order[rank]] = static_cast<int32_t>(rank);
  }
  by_rank_ = std::move(order);
  for (Postings& postings : postings_) postings = {};
  for (uint32_t number = 0; number < texts_.size(); ++number) {
    texts_[number].ranks = ranks_of(texts_[number].words);
    enter(number);
  }
}

}  // namespace selfalign::text
