// SPDX-License-Identifier: Apache-2.0
// Signatures of a run's state: Ed25519 (RFC 8032), keys in PEM as
// `openssl genpkey -algorithm ed25519` makes them.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace selfalign::store {

class SigningKey {
 public:
  // A private key without a passphrase. Errors of read_key_file
  // (base/key_file.h), and kInput where it is not such a key.
  explicit SigningKey(const std::string& path);
  ~SigningKey();

  std::string sign(std::string_view message) const;  // 128 hex digits
  std::string public_key() const;                    // 64 hex digits

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The public key in a PEM file, 64 hex digits. Error kInput if it is none.
std::string read_public_key(const std::string& path);

// False also where key or signature are not what they should be.
bool is_signature(const std::string& public_key, std::string_view message,
                  const std::string& signature);

}  // namespace selfalign::store
