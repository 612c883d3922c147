// SPDX-License-Identifier: Apache-2.0
#include "serve/http_body.h"

#include <algorithm>

#include "base/error.h"
#include "base/number.h"

namespace selfalign::serve {
namespace {

constexpr std::string_view kLineEnd = "\r\n";

void skip_blanks(std::string_view& text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
}

bool take_token(std::string_view& text) {
  const size_t end = std::min(text.find_first_of(" \t;=\""), text.size());
  const bool is_good = is_token(text.substr(0, end));
  text.remove_prefix(end);
  return is_good;
}

bool take_quoted(std::string_view& text) {
  for (size_t at = 1; at < text.size(); ++at) {
    if (text[at] == '\\') {
      ++at;
    } else if (text[at] == '"') {
      text.remove_prefix(at + 1);
      return true;
    }
  }
  return false;
}

// ";name=value;name" behind a chunk's size, which mean nothing here.
bool are_extensions(std::string_view text) {
  while (!text.empty()) {
    skip_blanks(text);
    if (!text.starts_with(';')) return false;
    text.remove_prefix(1);
    skip_blanks(text);
    if (!take_token(text)) return false;
    std::string_view value = text;
    skip_blanks(value);
    if (!value.starts_with('=')) continue;
    value.remove_prefix(1);
    skip_blanks(value);
    if (!(value.starts_with('"') ? take_quoted(value) : take_token(value))) {
      return false;
    }
    text = value;
  }
  return true;
}

// The size that a chunk's line says, all that are too large as one of them;
// none where the line is wrong.
std::optional<uint64_t> chunk_size(std::string_view line) {
  constexpr uint64_t kLarge = uint64_t{1} << 56;
  uint64_t size = 0;
  size_t at = 0;
  for (; at < line.size(); ++at) {
    const auto digit = parse_digits(line.substr(at, 1), 16, 15);
    if (!digit) break;
    if (size < kLarge) size = size * 16 + *digit;
  }
  if (at == 0 || !are_extensions(line.substr(at))) return std::nullopt;
  return size;
}

}  // namespace

BodyReader::BodyReader(std::optional<size_t> length, size_t max_bytes,
                       size_t max_line_bytes)
    : in_chunks_(!length),
      max_bytes_(max_bytes),
      max_line_bytes_(max_line_bytes),
      state_(!length       ? State::kLine
             : *length > 0 ? State::kData
                           : State::kDone),
      num_left_(length.value_or(0)) {
  SELFALIGN_CHECK(num_left_ <= max_bytes);
  body_.reserve(num_left_);
}

size_t BodyReader::take(std::string_view bytes) {
  size_t count = 0;
  while (count < bytes.size() && !is_done() && !fault_) {
    count += take_some(bytes.substr(count));
  }
  return count;
}

size_t BodyReader::take_some(std::string_view bytes) {
  if (state_ == State::kData) {
    const size_t count = std::min(num_left_, bytes.size());
    body_.append(bytes.substr(0, count));
    num_left_ -= count;
    if (num_left_ == 0) state_ = in_chunks_ ? State::kDataEnd : State::kDone;
    return count;
  }
  state_ == State::kDataEnd ? take_end(bytes.front())
                            : take_line(bytes.front());
  return 1;
}

void BodyReader::take_end(char byte) {
  if (byte != kLineEnd[num_end_bytes_]) {
    return fail(400, "bad_request",
                "body: expected CR LF behind a chunk, found another byte");
  }
  if (++num_end_bytes_ < kLineEnd.size()) return;
  num_end_bytes_ = 0;
  state_ = State::kLine;
}

void BodyReader::take_line(char byte) {
  section_ += byte;
  scan_.go_on(section_);
  const bool is_trailer = state_ == State::kTrailer;
  if (!scan_.fault().empty()) {
    fail(400, "bad_request",
         (is_trailer ? "trailer: " : "body: ") + scan_.fault());
  } else if (is_trailer && scan_.end() > 0) {
    const std::string fault = trailer_fault(section_);
    if (!fault.empty()) return fail(400, "bad_request", fault);
    state_ = State::kDone;
  } else if (!is_trailer && byte == '\n') {
    begin_chunk();
  } else if (section_.size() >= max_line_bytes_) {
    is_trailer ? fail(431, "headers_too_large",
                      str("trailer: expected at most ", max_line_bytes_,
                          " bytes, found more"))
               : fail(400, "bad_request",
                      str("body: expected a line of at most ", max_line_bytes_,
                          " bytes before a chunk, found more"));
  }
}

void BodyReader::begin_chunk() {
  const auto size = chunk_size(
      std::string_view(section_).substr(0, section_.size() - kLineEnd.size()));
  if (!size) {
    return fail(400, "bad_request",
                "body: expected a chunk's size, found another line");
  }
  if (*size > max_bytes_ - body_.size()) {
    return fail(413, "body_too_large",
                str("body: expected at most ", max_bytes_,
                    " bytes, found more; send less at once"));
  }
  if (*size == 0) {
    state_ = State::kTrailer;  // its section begins with this line
    return;
  }
  state_ = State::kData;
  num_left_ = static_cast<size_t>(*size);
  section_.clear();
  scan_ = HeadScan();
}

void BodyReader::fail(int status, const char* code, std::string message) {
  fault_ = BodyFault{status, code, std::move(message)};
}

}  // namespace selfalign::serve
