// SPDX-License-Identifier: Apache-2.0
#include "base/sha256.h"

#include <openssl/evp.h>

#include <array>

#include "base/error.h"
#include "base/file.h"

namespace selfalign {

struct Sha256::State {
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context{
      EVP_MD_CTX_new(), EVP_MD_CTX_free};
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
  SELFALIGN_CHECK(
      EVP_DigestInit_ex(state_->context.get(), EVP_sha256(), nullptr) == 1);
}

Sha256::~Sha256() = default;

Sha256& Sha256::add(std::string_view bytes) {
  SELFALIGN_CHECK(
      EVP_DigestUpdate(state_->context.get(), bytes.data(), bytes.size()) == 1);
  return *this;
}

std::string Sha256::hex() {
  std::array<char, EVP_MAX_MD_SIZE> digest;
  unsigned int size = 0;
  SELFALIGN_CHECK(
      EVP_DigestFinal_ex(state_->context.get(),
                         reinterpret_cast<unsigned char*>(digest.data()),
                         &size) == 1);
  return to_hex({digest.data(), size});
}

std::string to_hex(std::string_view bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    hex += {kDigits[byte >> 4], kDigits[byte & 15]};
  }
  return hex;
}

std::string sha256_bytes(std::string_view bytes) {
  return Sha256().add(bytes).hex();
}

std::string sha256_file(const std::string& path) {
  const MappedFile map(path);
  std::string digest = sha256_bytes(map.bytes());
  map.require_unchanged();
  return digest;
}

}  // namespace selfalign
