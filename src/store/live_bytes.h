// SPDX-License-Identifier: Apache-2.0
// Which bytes of a database file hold something, for tests: all but the space
// between a page's pointers and its cells, its free blocks and fragments, and
// what is left of the last page of an overflow (sqlite.org/fileformat2.html).
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

namespace selfalign::store {

class LiveBytes {
 public:
  explicit LiveBytes(const std::string& file)
      : file_(file), page_size_(number(16, 2)), live_(file.size()) {
    mark(0, 100);
    const size_t num_pages = file.size() / page_size_;
    for (size_t page = 1; page <= num_pages; ++page) read_page(page);
  }

  std::vector<size_t> offsets() const {
    std::vector<size_t> offsets;
    for (size_t i = 0; i < live_.size(); ++i) {
      if (live_[i]) offsets.push_back(i);
    }
    return offsets;
  }

 private:
  size_t number(size_t at, size_t size) const {
    size_t value = 0;
    for (size_t i = 0; i < size; ++i) {
      value = value << 8 | static_cast<unsigned char>(file_[at + i]);
    }
    return value;
  }
  void mark(size_t at, size_t size) {
    for (size_t i = 0; i < size; ++i) live_[at + i] = true;
  }
  // Its value, and `at` behind it.
  size_t varint(size_t& at) const {
    size_t value = 0;
    for (int i = 0; i < 8; ++i) {
      const auto byte = static_cast<unsigned char>(file_[at++]);
      value = value << 7 | (byte & 127);
      if (byte < 128) return value;
    }
    return value << 8 | static_cast<unsigned char>(file_[at++]);
  }

  void read_page(size_t page) {
    const size_t base = (page - 1) * page_size_;
    const size_t head = page == 1 ? base + 100 : base;
    const size_t kind = number(head, 1);
    // An overflow page is read with the cell that goes on there.
    if (kind != 2 && kind != 5 && kind != 10 && kind != 13) return;
    const bool is_interior = kind == 2 || kind == 5;
    const size_t num_cells = number(head + 3, 2);
    const size_t pointers = head + (is_interior ? 12 : 8);
    mark(head, pointers - head + 2 * num_cells);
    for (size_t i = 0; i < num_cells; ++i) {
      read_cell(base + number(pointers + 2 * i, 2), kind);
    }
  }

  void read_cell(size_t begin, size_t kind) {
    size_t at = begin;
    if (kind == 2 || kind == 5) at += 4;
    if (kind == 5) {
      varint(at);
      mark(begin, at - begin);
      return;
    }
    const size_t payload = varint(at);
    if (kind == 13) varint(at);
    const size_t most =
        kind == 13 ? page_size_ - 35 : (page_size_ - 12) * 64 / 255 - 23;
    size_t local = payload;
    if (payload > most) {
      const size_t least = (page_size_ - 12) * 32 / 255 - 23;
      local = least + (payload - least) % (page_size_ - 4);
      if (local > most) local = least;
    }
    mark(begin, at - begin + local);
    if (local == payload) return;
    mark(at + local, 4);
    read_overflow(number(at + local, 4), payload - local);
  }

  void read_overflow(size_t page, size_t left) {
    while (page != 0 && left > 0) {
      const size_t base = (page - 1) * page_size_;
      const size_t here = std::min(left, page_size_ - 4);
      mark(base, 4 + here);
      left -= here;
      page = number(base, 4);
    }
  }

  const std::string& file_;
  const size_t page_size_;
  std::vector<bool> live_;
};

// Offsets, ascending.
inline std::vector<size_t> live_bytes(const std::string& file) {
  return LiveBytes(file).offsets();
}

}  // namespace selfalign::store
