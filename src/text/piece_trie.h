// SPDX-License-Identifier: Apache-2.0
// The pieces of a vocabulary as a double array (Aoe 1989): which of them begin
// at a place of a text, a byte a step.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace selfalign::text {

class PieceTrie {
 public:
  using Entry = std::pair<std::string_view, int>;  // not empty; value >= 0

  // Of two entries of one text the last counts. Throws Error kInput for more
  // text than any vocabulary has.
  explicit PieceTrie(std::vector<Entry> entries);

  // Calls visit(length, value) for each entry that `text` begins with, the
  // shortest first.
  template <typename Visit>
  void for_each_prefix(std::string_view text, Visit visit) const {
    uint32_t at = 0;
    for (size_t i = 0; i < text.size(); ++i) {
      const uint32_t next =
          units_[at].base ^ static_cast<unsigned char>(text[i]);
      if (units_[next].parent != at) return;
      at = next;
      if (units_[at].value >= 0) visit(i + 1, units_[at].value);
    }
  }
  // -1: none.
  int find(std::string_view text) const;

 private:
  static constexpr uint32_t kNone = UINT32_MAX;
  static constexpr size_t kBlock = 256;  // one for each byte
  struct Unit {
    uint32_t base = 0;  // a longer one by byte b is at base ^ b, if it says so
    uint32_t parent = kNone;
    int32_t value = -1;
  };
  // Units with one base but for its last byte. Only the newest are filled.
  struct Block {
    uint32_t begin;
    std::array<bool, kBlock> used = {};
    size_t num_used = 0;
  };

  uint32_t place(const std::vector<unsigned char>& bytes);
  static bool fits(const Block& block, size_t low,
                   const std::vector<unsigned char>& bytes);
  Block& add_block();

  std::vector<Unit> units_;  // [0] is of the empty text
  std::vector<Block> open_;
};

}  // namespace selfalign::text
