// SPDX-License-Identifier: Apache-2.0
// Characters to ids, in two steps of look-up.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace selfalign::text {

class CharTable {
 public:
  // -1: none, also for -1, what is no character.
  int find(int32_t code) const {
    const auto page = static_cast<uint32_t>(code) / kPage;
    if (page >= pages_.size() || pages_[page] == 0) return -1;
    return ids_[pages_[page]][static_cast<uint32_t>(code) % kPage];
  }
  void set(int32_t code, int id) {
    const auto page = static_cast<uint32_t>(code) / kPage;
    if (page >= pages_.size()) pages_.resize(page + 1);
    if (pages_[page] == 0) {
      pages_[page] = static_cast<uint32_t>(ids_.size());
      ids_.emplace_back().fill(-1);
    }
    ids_[pages_[page]][static_cast<uint32_t>(code) % kPage] = id;
  }

 private:
  static constexpr uint32_t kPage = 256;
  std::vector<uint32_t> pages_;  // of ids_; 0: none
  std::vector<std::array<int, kPage>> ids_ =
      std::vector<std::array<int, kPage>>(1);
};

}  // namespace selfalign::text
