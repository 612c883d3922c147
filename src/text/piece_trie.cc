// SPDX-License-Identifier: Apache-2.0
#include "text/piece_trie.h"

#include <algorithm>

#include "base/error.h"

namespace selfalign::text {

PieceTrie::PieceTrie(std::vector<Entry> entries) {
  std::stable_sort(
      entries.begin(), entries.end(),
      [](const Entry& a, const Entry& b) { return a.first < b.first; });
  add_block().used[0] = true;  // no text leads to the empty one
  open_.back().num_used = 1;
  struct Node {
    size_t begin, end;  // of the entries that begin with it
    size_t depth;
    uint32_t unit;
  };
  std::vector<Node> nodes = {{0, entries.size(), 0, 0}};
  std::vector<unsigned char> bytes;
  std::vector<size_t> bounds;
  while (!nodes.empty()) {
    Node node = nodes.back();
    nodes.pop_back();
    for (; node.begin < node.end; ++node.begin) {
      const auto& [text, value] = entries[node.begin];
      if (text.size() > node.depth) break;
      if (node.depth > 0) units_[node.unit].value = value;
    }
    bytes.clear();
    bounds.clear();
    for (size_t i = node.begin; i < node.end; ++i) {
      const auto byte =
          static_cast<unsigned char>(entries[i].first[node.depth]);
      if (!bytes.empty() && bytes.back() == byte) continue;
      bytes.push_back(byte);
      bounds.push_back(i);
    }
    bounds.push_back(node.end);
    if (bytes.empty()) continue;
    const uint32_t base = place(bytes);
    units_[node.unit].base = base;
    for (size_t i = 0; i < bytes.size(); ++i) {
      units_[base ^ bytes[i]].parent = node.unit;
      nodes.push_back(
          {bounds[i], bounds[i + 1], node.depth + 1, base ^ bytes[i]});
    }
  }
  open_ = {};
}

PieceTrie::Block& PieceTrie::add_block() {
  constexpr size_t kMaxUnits = size_t{1} << 25;
  constexpr size_t kMaxOpen = 8;
  if (units_.size() >= kMaxUnits) {
    throw Error(ErrorKind::kInput,
                str("tokenizer: expected pieces with fewer than ", kMaxUnits,
                    " bytes, found more; get the model's files again"));
  }
  if (open_.size() == kMaxOpen) open_.erase(open_.begin());
  open_.push_back({static_cast<uint32_t>(units_.size())});
  units_.resize(units_.size() + kBlock);
  return open_.back();
}

bool PieceTrie::fits(const Block& block, size_t low,
                     const std::vector<unsigned char>& bytes) {
  return std::none_of(bytes.begin(), bytes.end(), [&](unsigned char byte) {
    return block.used[low ^ byte];
  });
}

// A base whose units for all the bytes are free; takes them.
uint32_t PieceTrie::place(const std::vector<unsigned char>& bytes) {
  const auto take = [&](Block& block, size_t low) {
    for (const unsigned char byte : bytes) block.used[low ^ byte] = true;
    block.num_used += bytes.size();
    return block.begin + static_cast<uint32_t>(low);
  };
  for (size_t i = open_.size(); i-- > 0;) {
    Block& block = open_[i];
    if (block.num_used + bytes.size() > kBlock) continue;
    for (size_t slot = 0; slot < kBlock; ++slot) {
      if (block.used[slot]) continue;
      const size_t low = slot ^ bytes[0];
      if (fits(block, low, bytes)) return take(block, low);
    }
  }
  return take(add_block(), 0);
}

int PieceTrie::find(std::string_view text) const {
  int found = -1;
  for_each_prefix(text, [&](size_t length, int value) {
    if (length == text.size()) found = value;
  });
  return found;
}

}  // namespace selfalign::text
