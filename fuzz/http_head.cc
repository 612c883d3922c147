// SPDX-License-Identifier: Apache-2.0
// The head of an HTTP request: what comes in pieces is read as what comes at
// once, and a good one has one way to say where its body ends.
#include "fuzz.h"
#include "serve/http_framing.h"

void fuzz_one(std::string_view bytes) {
  using namespace selfalign::serve;
  HeadScan at_once, in_pieces;
  at_once.go_on(bytes);
  for (size_t size = 1; size <= bytes.size(); ++size) {
    if (in_pieces.end() > 0 || !in_pieces.fault().empty()) break;
    in_pieces.go_on(bytes.substr(0, size));
  }
  SELFALIGN_CHECK(at_once.end() == in_pieces.end());
  SELFALIGN_CHECK(at_once.fault() == in_pieces.fault());
  if (at_once.end() == 0) return;
  const std::string_view head = bytes.substr(0, at_once.end());
  SELFALIGN_CHECK(head.ends_with("\r\n\r\n") || head == "\r\n");
  if (head == "\r\n" || !framing_fault(head).empty()) return;
  SELFALIGN_CHECK(head.find("\n ") == std::string_view::npos);
  SELFALIGN_CHECK(head.find('\0') == std::string_view::npos);
}
