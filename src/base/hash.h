// SPDX-License-Identifier: Apache-2.0
// Keys and digests: XXH3, 64 bits for a row's key, 128 bits for contents.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace selfalign {

// Hashes a sequence of fields. Every field is preceded by its length, so
// ("ab","c") and ("a","bc") differ.
class Hasher {
 public:
  Hasher();
  ~Hasher();
  Hasher(const Hasher&) = delete;
  Hasher& operator=(const Hasher&) = delete;

  Hasher& add(std::string_view bytes);
  Hasher& add(uint64_t number);  // little-endian, 8 bytes

  uint64_t key() const;        // 64 bits
  std::string digest() const;  // 128 bits as 32 lower-case hex digits

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Digest of raw bytes, and of a file's bytes (Error kInput if unreadable).
std::string digest_bytes(std::string_view bytes);
std::string digest_file(const std::string& path);

// A key as 16 lower-case hex digits, and back (Error kInput if malformed).
std::string key_to_hex(uint64_t key);
uint64_t key_from_hex(std::string_view hex);

}  // namespace selfalign
