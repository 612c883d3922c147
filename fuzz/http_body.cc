// SPDX-License-Identifier: Apache-2.0
// A body in chunks: what comes in pieces is read as what comes at once, and
// nothing behind its end or its first fault is taken.
#include "serve/http_body.h"

#include <algorithm>

#include "fuzz.h"

void fuzz_one(std::string_view bytes) {
  using namespace selfalign::serve;
  constexpr size_t kMost = 100;
  BodyReader at_once(std::nullopt, kMost, kMost);
  BodyReader in_pieces(std::nullopt, kMost, kMost);
  const size_t count = at_once.take(bytes);
  size_t taken = 0;
  for (const char& byte : bytes) taken += in_pieces.take({&byte, 1});
  SELFALIGN_CHECK(count == taken && count <= bytes.size());
  SELFALIGN_CHECK(at_once.is_done() == in_pieces.is_done());
  SELFALIGN_CHECK(at_once.fault().has_value() == in_pieces.fault().has_value());
  SELFALIGN_CHECK(!(at_once.is_done() && at_once.fault()));
  const std::string body = at_once.body();
  SELFALIGN_CHECK(body == in_pieces.body() && body.size() <= kMost);
  if (at_once.is_done()) {
    SELFALIGN_CHECK(bytes.substr(0, count).ends_with("\r\n\r\n"));
  }
}
