// SPDX-License-Identifier: Apache-2.0
// Who signed a run, as its tables say.
#pragma once

#include <optional>
#include <string>

#include "store/sqlite.h"

namespace selfalign::store {

struct Signature {
  std::string public_key;
  std::string signature;
};

// The signature, which is that of the signer whom the sealed meta names, or
// none where it names nobody; whether it is right is asked by evidence_of.
// Error kDamaged where one is there without the other, or where a key is none.
std::optional<Signature> read_signature(const Database& db);

}  // namespace selfalign::store
