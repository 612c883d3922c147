#include "text/minhash.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "base/error.h"
#include "text/rouge.h"

namespace selfalign::text {
namespace {

// The finaliser of MurmurHash3, which spreads every bit over all.
uint64_t spread(uint64_t x) {
  x ^= x >> 33;
  x *= 0xff51afd7ed558ccdULL;
  x ^= x >> 33;
  x *= 0xc4ceb9fe1a85ec53ULL;
  return x ^ (x >> 33);
}

uint64_t hash_word(const std::string& word) {
  uint64_t hash = 0xcbf29ce484222325ULL;  // FNV-1a
  for (const char c : word) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  }
  return spread(hash);
}

// The words of a text, the k-th occurrence of one an element of its own.
std::vector<uint64_t> elements_of(std::string_view text, RougeKind kind) {
  std::vector<uint64_t> words;
  for (const std::string& word : rouge_words(text, kind)) {
    words.push_back(hash_word(word));
  }
  std::sort(words.begin(), words.end());
  std::vector<uint64_t> elements;
  uint64_t occurrence = 0;
  for (size_t i = 0; i < words.size(); ++i) {
    const bool again = i > 0 && words[i] == words[i - 1];
    occurrence = again ? occurrence + 1 : 0;
    elements.push_back(spread(words[i] + occurrence));
  }
  return elements;
}

}  // namespace

MinHashIndex::MinHashIndex(const MinHashOptions& options)
    : kind_(options.kind) {
  SELFALIGN_CHECK(options.min_rouge_l >= 0.1 && options.min_rouge_l < 1.0);
  SELFALIGN_CHECK(options.recall > 0.0 && options.recall < 1.0);
  const double similarity = options.min_rouge_l / (2.0 - options.min_rouge_l);
  for (int rows = 1;; ++rows) {
    const double bands = std::ceil(std::log1p(-options.recall) /
                                   std::log1p(-std::pow(similarity, rows)));
    if (rows > 1 && rows * bands > kMaxHashes) break;
    num_rows_ = rows;
    num_bands_ = static_cast<int>(std::clamp(bands, 1.0, double{kMaxHashes}));
  }
  buckets_.assign(1024, kNone);
}

std::vector<uint64_t> MinHashIndex::bands_of(std::string_view text) const {
  std::vector<uint64_t> bands;
  const std::vector<uint64_t> elements = elements_of(text, kind_);
  if (elements.empty()) return bands;
  uint64_t number = 0;
  for (int band = 0; band < num_bands_; ++band) {
    uint64_t hash = spread(static_cast<uint64_t>(band) + 1);
    for (int row = 0; row < num_rows_; ++row) {
      const uint64_t factor = spread(++number) | 1;
      uint64_t least = UINT64_MAX;
      for (const uint64_t element : elements) {
        // The upper half of a product depends on all bits of the element.
        least = std::min(least, (element * factor) >> 16);
      }
      hash = spread(hash ^ least);
    }
    bands.push_back(hash);
  }
  return bands;
}

std::vector<uint32_t> MinHashIndex::candidates(std::string_view text) const {
  std::vector<uint32_t> found;
  for (const uint64_t hash : bands_of(text)) {
    for (uint32_t at = buckets_[hash & (buckets_.size() - 1)]; at != kNone;
         at = entries_[at].next) {
      if (entries_[at].band == hash) found.push_back(entries_[at].text);
    }
  }
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

void MinHashIndex::add(std::string_view text) {
  for (const uint64_t hash : bands_of(text)) {
    if (entries_.size() >= buckets_.size()) grow();
    uint32_t& bucket = buckets_[hash & (buckets_.size() - 1)];
    entries_.push_back({hash, num_texts_, bucket});
    bucket = static_cast<uint32_t>(entries_.size() - 1);
  }
  ++num_texts_;
}

void MinHashIndex::grow() {
  buckets_.assign(buckets_.size() * 2, kNone);
  for (size_t i = 0; i < entries_.size(); ++i) {
    uint32_t& bucket = buckets_[entries_[i].band & (buckets_.size() - 1)];
    entries_[i].next = bucket;
    bucket = static_cast<uint32_t>(i);
  }
}

}  // namespace selfalign::text
