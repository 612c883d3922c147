// SPDX-License-Identifier: Apache-2.0
// The heads and trailers of requests to the letter of RFC 9112: whatever two
// servers in a row could read in two ways is refused, so that no request hides
// in another. Pure; what a parser finds wrong besides is the parser's
// (http_connection.cc).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace selfalign::serve {

// The bytes of a head as they come.
class HeadScan {
 public:
  // `bytes` are all that came since the head's beginning; what was seen before
  // is not looked at again. Finds lines that do not end in CR LF, lines folded
  // onto the one before (section 5.2) and control characters. After a fault, or
  // the head's end, it is not called again.
  void go_on(std::string_view bytes);

  size_t num_seen() const { return num_seen_; }
  size_t end() const { return end_; }  // the empty line included; 0: not here
  // "expected ..., found ..."; "": none so far.
  const std::string& fault() const { return fault_; }

 private:
  void look_at(unsigned char byte, unsigned char before);

  size_t num_seen_ = 0;
  size_t line_begin_ = 0;
  size_t end_ = 0;
  std::string fault_;
};

// What is wrong with a whole head's Transfer-Encoding, Content-Length and Host,
// "where: expected ..., found ..."; "": nothing. Good is one Content-Length of
// digits alone, or in HTTP/1.1 one Transfer-Encoding of "chunked" alone, or
// neither (section 6); one Host, which only HTTP/1.0 may leave out (3.2).
std::string framing_fault(std::string_view head);

// What is wrong with the fields behind a body in chunks, their section from the
// last chunk's line to the empty one; "": nothing. None of them may say where a
// request ends or whose it is (section 7.1.2).
std::string trailer_fault(std::string_view section);

// Whether a name is `lower`, in either case.
bool same_name(std::string_view name, std::string_view lower);

// A name as fields and the extensions of chunks have it (RFC 9110, 5.6.2).
bool is_token(std::string_view text);

}  // namespace selfalign::serve
