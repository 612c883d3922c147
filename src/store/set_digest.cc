// SPDX-License-Identifier: Apache-2.0
#include "store/set_digest.h"

#include <openssl/evp.h>

#include "base/error.h"

namespace selfalign::store {
namespace {

using Numbers = std::array<uint16_t, SetDigest::kBytes / 2>;

// Little-endian whatever the machine.
Numbers numbers_of(const unsigned char* bytes) {
  Numbers numbers;
  for (size_t i = 0; i < numbers.size(); ++i) {
    numbers[i] = static_cast<uint16_t>(bytes[2 * i] | bytes[2 * i + 1] << 8);
  }
  return numbers;
}

// The context is made once for all: that takes longer than a short entry.
Numbers expand(std::string_view entry) {
  struct Shake {
    EVP_MD* kind = EVP_MD_fetch(nullptr, "SHAKE128", nullptr);
    EVP_MD_CTX* context = EVP_MD_CTX_new();
    ~Shake() {
      EVP_MD_CTX_free(context);
      EVP_MD_free(kind);
    }
  };
  thread_local const Shake shake;
  std::array<unsigned char, SetDigest::kBytes> bytes;
  SELFALIGN_CHECK(
      EVP_DigestInit_ex(shake.context, shake.kind, nullptr) == 1 &&
      EVP_DigestUpdate(shake.context, entry.data(), entry.size()) == 1 &&
      EVP_DigestFinalXOF(shake.context, bytes.data(), bytes.size()) == 1);
  return numbers_of(bytes.data());
}

}  // namespace

void SetDigest::add(std::string_view entry) {
  const Numbers numbers = expand(entry);
  for (size_t i = 0; i < sums_.size(); ++i) {
    sums_[i] = static_cast<uint16_t>(sums_[i] + numbers[i]);
  }
}

void SetDigest::remove(std::string_view entry) {
  const Numbers numbers = expand(entry);
  for (size_t i = 0; i < sums_.size(); ++i) {
    sums_[i] = static_cast<uint16_t>(sums_[i] - numbers[i]);
  }
}

std::string SetDigest::bytes() const {
  std::string bytes;
  for (const uint16_t sum : sums_) {
    bytes += {static_cast<char>(sum & 255), static_cast<char>(sum >> 8)};
  }
  return bytes;
}

bool SetDigest::set_bytes(std::string_view bytes) {
  if (bytes.size() != kBytes) return false;
  sums_ = numbers_of(reinterpret_cast<const unsigned char*>(bytes.data()));
  return true;
}

}  // namespace selfalign::store
