// SPDX-License-Identifier: Apache-2.0
// The body of a request as it comes, of a known length or in chunks to the
// letter of RFC 9112, section 7.1. Pure. What stands behind the last chunk is
// checked as a head is and dropped: no field of it ever counts.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "serve/http_framing.h"

namespace selfalign::serve {

struct BodyFault {
  int status;  // 400, 413, 431
  const char* code;
  std::string message;  // "where: expected ..., found ..."
};

class BodyReader {
 public:
  // `length`: none where it comes in chunks. `max_line_bytes`: of the line
  // before a chunk, and of all that stands behind the last one.
  BodyReader(std::optional<size_t> length, size_t max_bytes,
             size_t max_line_bytes);

  // Takes what comes next, up to the body's end or the first byte that cannot
  // be right; returns how much that was.
  size_t take(std::string_view bytes);

  bool is_done() const { return state_ == State::kDone; }
  const std::optional<BodyFault>& fault() const { return fault_; }
  // Of a body that is done; once.
  std::string body() { return std::exchange(body_, {}); }

 private:
  enum class State { kLine, kData, kDataEnd, kTrailer, kDone };

  size_t take_some(std::string_view bytes);
  void take_end(char byte);
  void take_line(char byte);
  void begin_chunk();
  void fail(int status, const char* code, std::string message);

  const bool in_chunks_;
  const size_t max_bytes_;
  const size_t max_line_bytes_;
  State state_;
  size_t num_left_ = 0;       // bytes of the data that is being taken
  size_t num_end_bytes_ = 0;  // of the line end behind it, so far
  std::string section_;       // a chunk's line, of the last one the trailer too
  HeadScan scan_;             // of section_
  std::string body_;
  std::optional<BodyFault> fault_;
};

}  // namespace selfalign::serve
