// SPDX-License-Identifier: Apache-2.0
// A digest of a set of entries that is kept up to date entry by entry, in any
// order: LtHash (Lewi, Kim, Maykov and Weis, "Securing Update Propagation with
// Homomorphic Hashing", 2019, section 4; 1,024 numbers of 16 bits, over 200
// bits of security). Each entry is expanded to 2,048 bytes by SHAKE128
// (FIPS 202); the digest is their sum, number by number. An entry that is there
// twice counts twice.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace selfalign::store {

class SetDigest {
 public:
  static constexpr size_t kBytes = 2048;

  void add(std::string_view entry);
  // Of an entry that was added.
  void remove(std::string_view entry);

  // kBytes bytes, and the digest that they stand for; of another size they
  // stand for none (false).
  std::string bytes() const;
  bool set_bytes(std::string_view bytes);

  bool operator==(const SetDigest&) const = default;

 private:
  std::array<uint16_t, kBytes / 2> sums_ = {};
};

}  // namespace selfalign::store
