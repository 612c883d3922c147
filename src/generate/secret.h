// SPDX-License-Identifier: Apache-2.0
// A key, and how it is kept out of what a server sends back: a server that was
// given it may put it into anything, and what it sends is shown and stored.
#pragma once

#include <bitset>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace selfalign::generate {

class Secret {
 public:
  explicit Secret(std::string value = "");

  const std::string& value() const { return value_; }

  // `text` with "[key]" in place of each part of the key of at least eight
  // characters: as it is, in letters of either case, in hexadecimal, in base64
  // of either alphabet wherever in its input, or escaped as in URLs, JSON and
  // HTML, also more than once. The rest stays as it is, so JSON stays JSON. Of
  // a shorter key the whole is cut; one of three characters, or of one short
  // word ("none"), is no secret and stays.
  std::string cut_from(std::string_view text) const;

  // Bytes of a growing text that can be shown once the key is cut from them:
  // its end is held back as far as that is a part of the key.
  size_t num_settled(std::string_view text) const;

 private:
  // Pieces of the key's forms, each of the same size, sorted.
  struct Grams {
    void add(std::string_view form, size_t size);
    void sort();
    bool has(uint64_t gram) const;
    std::vector<uint64_t> all;
    std::bitset<65536> some;  // a quick no
  };

  void mark(std::string_view text, bool unescape,
            std::vector<std::pair<size_t, size_t>>& ranges) const;

  std::string value_;
  size_t size_ = 0;  // of a gram, in bytes; 0: nothing is cut
  Grams any_case_;
  Grams exact_;
};

}  // namespace selfalign::generate
