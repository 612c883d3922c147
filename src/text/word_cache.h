// SPDX-License-Identifier: Apache-2.0
// Token ids of words seen before: bounded, and safe for many threads.
#pragma once

#include <array>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace selfalign::text {

class WordCache {
 public:
  // Longer words are not kept: they do not come again.
  static constexpr size_t kMaxWordBytes = 48;
  static constexpr size_t kMaxWordsPerShard = 4096;

  // Appends the word's ids; false if it is not there.
  bool append(std::string_view word, std::vector<int>& ids) const {
    if (word.size() > kMaxWordBytes) return false;
    const size_t hash = std::hash<std::string_view>{}(word);
    const Shard& shard = shards_[hash % kNumShards];
    const std::lock_guard lock(shard.mutex);
    const auto found = shard.words.find(word);
    if (found == shard.words.end()) return false;
    ids.insert(ids.end(), found->second.begin(), found->second.end());
    return true;
  }

  // A full shard is emptied: what is frequent comes back at once.
  void put(std::string_view word, const std::vector<int>& ids) const {
    if (word.size() > kMaxWordBytes) return;
    const size_t hash = std::hash<std::string_view>{}(word);
    const Shard& shard = shards_[hash % kNumShards];
    const std::lock_guard lock(shard.mutex);
    if (shard.words.size() >= kMaxWordsPerShard) shard.words.clear();
    shard.words.emplace(word, ids);
  }

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view word) const {
      return std::hash<std::string_view>{}(word);
    }
  };
  struct Shard {
    mutable std::mutex mutex;
    mutable std::unordered_map<std::string, std::vector<int>, Hash,
                               std::equal_to<>>
        words;
  };
  static constexpr size_t kNumShards = 16;
  std::array<Shard, kNumShards> shards_;
};

}  // namespace selfalign::text
