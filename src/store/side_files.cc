// SPDX-License-Identifier: Apache-2.0
#include "store/side_files.h"

#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <string_view>

#include "base/error.h"
#include "base/own_file.h"

namespace selfalign::store {
namespace {

constexpr std::string_view kJournalMagic("\xd9\xd5\x05\xf9\x20\xa1\x63\xd7", 8);
constexpr size_t kJournalHeader = 28;
constexpr size_t kLogHeader = 32;
constexpr size_t kFrameHeader = 24;
constexpr uint32_t kLogMagic = 0x377f0682;  // or 1 more
constexpr uint32_t kLogVersion = 3007000;
constexpr int64_t kMaxPage = 65536;

// At most `size` bytes: as many as there are.
std::string beginning_of(const std::string& path, size_t size) {
  require_plain_file(path);  // at a pipe it would wait
  std::string bytes(size, '\0');
  std::ifstream in(path, std::ios::binary);
  in.read(bytes.data(), static_cast<std::streamsize>(size));
  bytes.resize(static_cast<size_t>(std::max<std::streamsize>(in.gcount(), 0)));
  return bytes;
}

bool is_zero(std::string_view bytes) {
  return bytes.find_first_not_of('\0') == std::string_view::npos;
}

uint32_t number_at(std::string_view bytes, size_t offset,
                   bool big_endian = true) {
  uint32_t number = 0;
  for (size_t i = 0; i < 4; ++i) {
    const size_t at = offset + (big_endian ? i : 3 - i);
    number = number << 8 | static_cast<unsigned char>(bytes[at]);
  }
  return number;
}

// The log's running checksum, of words of the order that its magic names.
class Checksum {
 public:
  explicit Checksum(bool big_endian) : big_endian_(big_endian) {}
  void add(std::string_view bytes) {
    for (size_t at = 0; at + 8 <= bytes.size(); at += 8) {
      first_ += number_at(bytes, at, big_endian_) + second_;
      second_ += number_at(bytes, at + 4, big_endian_) + first_;
    }
  }
  bool is_at(std::string_view bytes, size_t offset) const {
    return number_at(bytes, offset) == first_ &&
           number_at(bytes, offset + 4) == second_;
  }

 private:
  const bool big_endian_;
  uint32_t first_ = 0;
  uint32_t second_ = 0;
};

bool begins_like(std::string_view bytes, std::string_view magic) {
  const size_t size = std::min(bytes.size(), magic.size());
  return bytes.substr(0, size) == magic.substr(0, size);
}

}  // namespace

int64_t size_of(const std::string& path) {
  struct stat file = {};
  return stat(path.c_str(), &file) == 0 ? file.st_size : 0;
}

bool is_being_made(const std::string& database) {
  const std::string path = database + "-journal";
  const std::string header = beginning_of(path, kJournalHeader);
  if (header.empty()) return false;
  // The magic is written last: before it, SQLite takes the journal for none.
  const bool is_begun =
      is_zero(std::string_view(header).substr(0, kJournalMagic.size()));
  const bool is_journal = is_begun || begins_like(header, kJournalMagic);
  const bool was_empty =
      header.size() < kJournalHeader || number_at(header, 16) == 0;
  if (is_journal && was_empty && size_of(database) <= kMaxPage &&
      size_of(database + "-wal") == 0) {
    return !is_begun && size_of(database) > 0;
  }
  throw Error(ErrorKind::kDamaged,
              str(path,
                  ": expected no such file, for a store has a log in its "
                  "place, found one of ",
                  size_of(path),
                  " bytes; it is none of this run: look where it comes from "
                  "and move it away, or restore the run from a copy"));
}

Log look_at_log(const std::string& database, int64_t page_size) {
  const std::string bytes =
      beginning_of(database + "-wal",
                   kLogHeader + kFrameHeader + static_cast<size_t>(page_size));
  const std::string_view all(bytes);
  // A disk that failed may leave a log without content.
  if (is_zero(all.substr(0, kLogHeader))) return Log::kNone;
  if (all.size() < kLogHeader) {
    return begins_like(all.substr(0, 3), "\x37\x7f\x06") ? Log::kNone
                                                         : Log::kForeign;
  }
  const uint32_t magic = number_at(all, 0);
  Checksum checksum((magic & 1) != 0);
  checksum.add(all.substr(0, 24));
  if ((magic & ~1u) != kLogMagic || number_at(all, 4) != kLogVersion ||
      number_at(all, 8) != page_size || !checksum.is_at(all, 24)) {
    return Log::kForeign;
  }
  if (all.size() < kLogHeader + kFrameHeader + static_cast<size_t>(page_size)) {
    return Log::kNone;
  }
  const std::string_view frame = all.substr(kLogHeader);
  checksum.add(frame.substr(0, 8));
  checksum.add(frame.substr(kFrameHeader));
  const bool is_own =
      frame.substr(8, 8) == all.substr(16, 8) && checksum.is_at(frame, 16);
  return is_own ? Log::kFilled : Log::kNone;
}

}  // namespace selfalign::store
