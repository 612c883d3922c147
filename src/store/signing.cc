// SPDX-License-Identifier: Apache-2.0
#include "store/signing.h"

#include <openssl/evp.h>
#include <openssl/pem.h>

#include <array>

#include "base/error.h"
#include "base/file.h"
#include "base/key_file.h"
#include "base/sha256.h"

namespace selfalign::store {
namespace {

constexpr size_t kKeyBytes = 32;
constexpr size_t kSignatureBytes = 64;
constexpr uint64_t kMaxFile = 64 * 1024;

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Context = std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)>;

Key no_key() { return {nullptr, EVP_PKEY_free}; }

// Nobody is asked for a passphrase: such a key is not read.
int no_passphrase(char*, int, int, void*) { return 0; }

template <typename Read>
Key parse_pem(const std::string& text, const Read& read) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> bio(
      BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), BIO_free);
  return {read(bio.get(), nullptr, no_passphrase, nullptr), EVP_PKEY_free};
}

const unsigned char* raw(std::string_view bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

// "" where they are no hex digits.
std::string from_hex(const std::string& hex) {
  std::string bytes;
  const auto digit = [](char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 87 : -1;
  };
  if (hex.size() % 2 != 0) return "";
  for (size_t i = 0; i < hex.size(); i += 2) {
    const int high = digit(hex[i]), low = digit(hex[i + 1]);
    if (high < 0 || low < 0) return "";
    bytes += static_cast<char>(high << 4 | low);
  }
  return bytes;
}

std::string public_hex(const EVP_PKEY* key) {
  std::array<char, kKeyBytes> bytes;
  size_t size = bytes.size();
  SELFALIGN_CHECK(
      EVP_PKEY_get_raw_public_key(
          key, reinterpret_cast<unsigned char*>(bytes.data()), &size) == 1 &&
      size == kKeyBytes);
  return to_hex({bytes.data(), size});
}

[[noreturn]] void refuse(const std::string& path, const std::string& what,
                         const std::string& found) {
  throw Error(ErrorKind::kInput,
              str(path, ": expected ", what, " in PEM, found ", found,
                  "; make one with: openssl genpkey -algorithm ed25519 -out "
                  "KEY, its public half with: openssl pkey -in KEY -pubout "
                  "-out PUBLIC"));
}

// Null where the text holds the other half.
Key parse_half(const std::string& text, bool is_private) {
  return is_private ? parse_pem(text, PEM_read_bio_PrivateKey)
                    : parse_pem(text, PEM_read_bio_PUBKEY);
}

Key read_half(const std::string& path, const std::string& text,
              bool is_private) {
  const std::string what = is_private
                               ? "an Ed25519 private key without a passphrase"
                               : "an Ed25519 public key";
  Key key = parse_half(text, is_private);
  if (!key && parse_half(text, !is_private)) {
    refuse(path, what, is_private ? "a public key" : "a private key");
  }
  if (!key && text.find("ENCRYPTED") != std::string::npos) {
    refuse(path, what, "one with a passphrase");
  }
  if (!key) refuse(path, what, "none");
  if (EVP_PKEY_get_base_id(key.get()) != EVP_PKEY_ED25519) {
    const char* name = EVP_PKEY_get0_type_name(key.get());
    refuse(path, what, str("a key of ", name ? name : "another kind"));
  }
  return key;
}

}  // namespace

struct SigningKey::State {
  Key key = no_key();
};

SigningKey::SigningKey(const std::string& path)
    : state_(std::make_unique<State>()) {
  state_->key = read_half(path, read_key_file(path, kMaxFile), true);
}

SigningKey::~SigningKey() = default;

std::string SigningKey::sign(std::string_view message) const {
  const Context context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  std::array<char, kSignatureBytes> bytes;
  size_t size = bytes.size();
  SELFALIGN_CHECK(EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr,
                                     state_->key.get()) == 1 &&
                  EVP_DigestSign(context.get(),
                                 reinterpret_cast<unsigned char*>(bytes.data()),
                                 &size, raw(message), message.size()) == 1);
  return to_hex({bytes.data(), size});
}

std::string SigningKey::public_key() const {
  return public_hex(state_->key.get());
}

std::string read_public_key(const std::string& path) {
  return public_hex(read_half(path, read_file(path, kMaxFile), false).get());
}

bool is_signature(const std::string& public_key, std::string_view message,
                  const std::string& signature) {
  const std::string key_bytes = from_hex(public_key);
  const std::string bytes = from_hex(signature);
  if (key_bytes.size() != kKeyBytes || bytes.size() != kSignatureBytes) {
    return false;
  }
  const Key key(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr,
                                            raw(key_bytes), key_bytes.size()),
                EVP_PKEY_free);
  const Context context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  return key &&
         EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr,
                              key.get()) == 1 &&
         EVP_DigestVerify(context.get(), raw(bytes), bytes.size(), raw(message),
                          message.size()) == 1;
}

}  // namespace selfalign::store
