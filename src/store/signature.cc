// SPDX-License-Identifier: Apache-2.0
#include "store/signature.h"

#include "base/error.h"
#include "store/tables.h"

namespace selfalign::store {
namespace {

bool is_public_key(const std::string& text) {
  return text.size() == 64 &&
         text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

}  // namespace

std::optional<Signature> read_signature(const Database& db) {
  // One statement: a writer may sign meanwhile.
  Statement query(db,
                  "SELECT 'meta', value, '' FROM meta WHERE name = ? UNION ALL "
                  "SELECT 'signatures', public_key, signature FROM signatures");
  query.bind(kSigner);
  std::optional<std::string> signer;
  std::optional<Signature> signature;
  while (query.step()) {
    const std::string key = query.get_text(1);
    if (!is_public_key(key)) {
      damaged(db, str("a public key that is none: \"", key, "\""));
    }
    if (query.get_text(0) == "meta") {
      signer = key;
    } else if (signature) {
      damaged(db, "two signatures");
    } else {
      signature = Signature{key, query.get_text(2)};
    }
  }
  if (signer && !signature) {
    damaged(db, str("no signature, where ", *signer, " signed"));
  }
  if (signature && signature->public_key != signer) {
    damaged(db, str("a signature by ", signature->public_key, ", where ",
                    signer.value_or("nobody"), " signed"));
  }
  return signature;
}

}  // namespace selfalign::store
