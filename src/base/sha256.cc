#include "base/sha256.h"

#include <openssl/evp.h>

#include <array>

#include "base/error.h"
#include "base/file.h"

namespace selfalign {

std::string sha256_bytes(std::string_view bytes) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned int size = 0;
  SELFALIGN_CHECK(EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size,
                             EVP_sha256(), nullptr) == 1);
  constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  for (unsigned int i = 0; i < size; ++i) {
    hex += kDigits[digest[i] >> 4];
    hex += kDigits[digest[i] & 15];
  }
  return hex;
}

std::string sha256_file(const std::string& path) {
  const MappedFile map(path);
  std::string digest = sha256_bytes(map.bytes());
  map.require_unchanged();
  return digest;
}

}  // namespace selfalign
