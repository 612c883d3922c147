// SPDX-License-Identifier: Apache-2.0
// The place in a GGUF file up to which it has been read. Apart from gguf.cc so
// that every read from the file goes through the few checked functions here.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/shown.h"

namespace selfalign::formats {

static_assert(std::endian::native == std::endian::little,
              "GGUF is read as little-endian");

// Codes of the file (gguf_metadata_value_type).
enum GgufType : uint32_t {
  kUint8 = 0,
  kInt8 = 1,
  kUint16 = 2,
  kInt16 = 3,
  kUint32 = 4,
  kInt32 = 5,
  kFloat32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kUint64 = 10,
  kInt64 = 11,
  kFloat64 = 12,
};

// Reads forward through the file; every read is checked against its end.
class GgufCursor {
 public:
  // `bytes` begin at byte `begin` of the file.
  GgufCursor(std::string_view bytes, const std::string& path,
             uint64_t begin = 0)
      : bytes_(bytes), path_(path), begin_(begin) {}

  uint64_t at() const { return begin_ + at_; }
  uint64_t left() const { return bytes_.size() - at_; }
  std::string_view rest() const { return bytes_.substr(at_); }

  [[noreturn]] void fail(const std::string& text) const {
    throw Error(ErrorKind::kInput,
                str(path_, ": byte ", at(), ": ", on_one_line(text)));
  }

  void need(uint64_t count, std::string_view what) const {
    if (count <= left()) return;
    fail(
        str("expected ", count, " bytes of ", what, ", found ", left(),
            " up to the end of the file; the file is cut off, fetch it again"));
  }

  template <typename T>
  T take(std::string_view what) {
    need(sizeof(T), what);
    T value;
    std::memcpy(&value, bytes_.data() + at_, sizeof(T));
    at_ += sizeof(T);
    return value;
  }

  // It lies in the file.
  std::string_view take_string(std::string_view what, uint64_t max_bytes) {
    const auto length = take<uint64_t>(what);
    if (length > max_bytes) {
      fail(str("expected ", what, " of at most ", max_bytes, " bytes, found ",
               length, "; the file is damaged"));
    }
    return take_bytes(length, what);
  }

  std::string_view take_bytes(uint64_t count, std::string_view what) {
    need(count, what);
    const std::string_view bytes = bytes_.substr(at_, count);
    at_ += count;
    return bytes;
  }

  // A number of entries that each take at least min_bytes, and of which there
  // are at most `most` in any file.
  uint64_t take_count(std::string_view what, uint64_t min_bytes,
                      uint64_t most = UINT64_MAX) {
    const auto count = take<uint64_t>(what);
    if (count > most) {
      fail(str("expected at most ", most, " ", what, ", found a count of ",
               count, "; the file is damaged, fetch it again"));
    }
    if (count > left() / min_bytes) {
      fail(str("expected at most ", left() / min_bytes, " ", what,
               " in the rest of the file, found a count of ", count,
               "; the file is cut off or damaged, fetch it again"));
    }
    return count;
  }

  bool take_bool(std::string_view what) {
    const auto value = take<uint8_t>(what);
    if (value > 1) fail(str(what, ": expected 0 or 1, found ", int{value}));
    return value == 1;
  }

  int64_t take_uint64(std::string_view what) {
    const auto value = take<uint64_t>(what);
    if (value > uint64_t{INT64_MAX}) {
      fail(str(what, ": expected at most 2^63 - 1, found ", value));
    }
    return static_cast<int64_t>(value);
  }

 private:
  std::string_view bytes_;
  const std::string& path_;
  const uint64_t begin_;
  uint64_t at_ = 0;
};

}  // namespace selfalign::formats
