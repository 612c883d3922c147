// SPDX-License-Identifier: Apache-2.0
#include "base/hash.h"

#include <xxhash.h>

#include <array>
#include <new>

#include "base/error.h"
#include "base/file.h"

namespace selfalign {
namespace {

constexpr char kHexDigits[] = "0123456789abcdef";

std::string hex(XXH128_hash_t hash) {
  return key_to_hex(hash.high64) + key_to_hex(hash.low64);
}

std::array<char, 8> little_endian(uint64_t number) {
  std::array<char, 8> bytes{};
  for (char& byte : bytes) {
    byte = static_cast<char>(number & 0xff);
    number >>= 8;
  }
  return bytes;
}

}  // namespace

struct Hasher::State {
  State() : xxh(XXH3_createState()) {
    if (xxh == nullptr) throw std::bad_alloc();
    XXH3_128bits_reset(xxh);
  }
  ~State() { XXH3_freeState(xxh); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  XXH3_state_t* xxh;
};

Hasher::Hasher() : state_(std::make_unique<State>()) {}
Hasher::~Hasher() = default;

Hasher& Hasher::add(std::string_view bytes) {
  const auto length = little_endian(bytes.size());
  XXH3_128bits_update(state_->xxh, length.data(), length.size());
  XXH3_128bits_update(state_->xxh, bytes.data(), bytes.size());
  return *this;
}

Hasher& Hasher::add(uint64_t number) {
  const auto bytes = little_endian(number);
  return add(std::string_view(bytes.data(), bytes.size()));
}

uint64_t Hasher::key() const { return XXH3_128bits_digest(state_->xxh).low64; }

std::string Hasher::digest() const {
  return hex(XXH3_128bits_digest(state_->xxh));
}

std::string digest_bytes(std::string_view bytes) {
  return hex(XXH3_128bits(bytes.data(), bytes.size()));
}

std::string digest_file(const std::string& path) {
  const MappedFile map(path);
  std::string digest = digest_bytes(map.bytes());
  map.require_unchanged();
  return digest;
}

std::string key_to_hex(uint64_t key) {
  std::string text(16, '0');
  for (size_t i = text.size(); i-- > 0; key >>= 4) {
    text[i] = kHexDigits[key & 0xf];
  }
  return text;
}

uint64_t key_from_hex(std::string_view text) {
  uint64_t key = 0;
  bool good = text.size() == 16;
  for (const char c : text) {
    const size_t digit = std::string_view(kHexDigits).find(c);
    good = good && digit != std::string_view::npos;
    key = key << 4 | (digit & 0xf);
  }
  if (!good) {
    throw Error(ErrorKind::kInput,
                str("key: expected 16 lower-case hex digits, found '",
                    text.substr(0, 40), "'; copy a key as it is printed"));
  }
  return key;
}

}  // namespace selfalign
