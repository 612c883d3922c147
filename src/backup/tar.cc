// SPDX-License-Identifier: Apache-2.0
#include "backup/tar.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>

#include "base/error.h"
#include "base/interrupt.h"

namespace selfalign::backup {
namespace {

constexpr int64_t kBlock = 512;
using Header = std::array<char, kBlock>;

// Of a header: offset and bytes (POSIX, pax interchange format).
struct Field {
  size_t at;
  size_t size;
};
constexpr Field kName{0, 100};
constexpr Field kMode{100, 8};
constexpr Field kOwner{108, 8};
constexpr Field kGroup{116, 8};
constexpr Field kSize{124, 12};
constexpr Field kTime{136, 12};
constexpr Field kSum{148, 8};
constexpr size_t kKind = 156;
constexpr Field kMagic{257, 5};  // then a zero and the version "00"
constexpr Field kPrefix{345, 155};

int64_t padded(int64_t size) { return (size + kBlock - 1) / kBlock * kBlock; }

// The sum over all bytes, those of the sum itself taken for blanks.
int64_t sum_of(const Header& header) {
  int64_t sum = 0;
  for (size_t i = 0; i < header.size(); ++i) {
    const bool is_sum = i >= kSum.at && i < kSum.at + kSum.size;
    sum += is_sum ? ' ' : static_cast<unsigned char>(header[i]);
  }
  return sum;
}

void put_number(Header& header, Field field, int64_t number) {
  const size_t digits = field.size - 1;
  if (number >> (3 * digits) != 0) {
    for (size_t i = 0; i < field.size; ++i) {
      const size_t shift = 8 * (field.size - 1 - i);
      header[field.at + i] =
          shift < 64 ? static_cast<char>(number >> shift & 255) : '\0';
    }
    header[field.at] = static_cast<char>(0x80);
    return;
  }
  for (size_t i = 0; i < digits; ++i) {
    header[field.at + i] =
        static_cast<char>('0' + (number >> (3 * (digits - 1 - i)) & 7));
  }
}

std::optional<int64_t> number_in(const Header& header, Field field) {
  const auto* bytes =
      reinterpret_cast<const unsigned char*>(header.data()) + field.at;
  int64_t number = 0;
  if (bytes[0] == 0x80) {
    for (size_t i = 1; i < field.size; ++i) {
      if (number >> 54 != 0) return std::nullopt;
      number = number << 8 | bytes[i];
    }
    return number;
  }
  size_t i = 0;
  while (i < field.size && bytes[i] == ' ') ++i;
  const size_t begin = i;
  for (; i < field.size && bytes[i] >= '0' && bytes[i] <= '7'; ++i) {
    number = number << 3 | (bytes[i] - '0');
  }
  const bool ends = i == field.size || bytes[i] == ' ' || bytes[i] == '\0';
  if (!ends || i == begin) return std::nullopt;
  return number;
}

std::string text_in(const Header& header, Field field) {
  const char* begin = header.data() + field.at;
  return {begin, ::strnlen(begin, field.size)};
}

std::string kind_name(char kind) {
  switch (kind) {
    case '1':
    case '2':
      return "a link";
    case '3':
    case '4':
      return "a device";
    case '5':
      return "a folder";
    case '6':
      return "a pipe";
    default:
      return "something that is no file";
  }
}

}  // namespace

void TarWriter::begin(const std::string& name, int64_t size) {
  SELFALIGN_CHECK(left_ == 0 && name.size() <= kName.size);
  Header header{};
  std::copy(name.begin(), name.end(), header.begin());
  put_number(header, kMode, 0600);
  put_number(header, kOwner, 0);
  put_number(header, kGroup, 0);
  put_number(header, kSize, size);
  put_number(header, kTime, std::time(nullptr));
  header[kKind] = '0';
  constexpr std::string_view kUstar(
      "ustar\0"
      "00",
      8);
  std::copy(kUstar.begin(), kUstar.end(), header.begin() + kMagic.at);
  put_number(header, {kSum.at, kSum.size - 1}, sum_of(header));
  header[kSum.at + kSum.size - 1] = ' ';
  put({header.data(), header.size()});
  left_ = size;
}

void TarWriter::add(std::string_view bytes) {
  left_ -= static_cast<int64_t>(bytes.size());
  SELFALIGN_CHECK(left_ >= 0);
  put(bytes);
  if (left_ == 0) pad();
}

void TarWriter::finish() {
  SELFALIGN_CHECK(left_ == 0);
  put(std::string(2 * kBlock, '\0'));
}

void TarWriter::pad() {
  put(std::string(static_cast<size_t>(padded(num_bytes_) - num_bytes_), '\0'));
}

void TarWriter::put(std::string_view bytes) {
  if (bytes.empty()) return;
  write_(bytes);
  num_bytes_ += static_cast<int64_t>(bytes.size());
}

TarReader::TarReader(std::string path) : path_(std::move(path)) {
  do {
    fd_ = ::open(path_.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  } while (fd_ < 0 && errno == EINTR);
  struct stat info {};
  const bool is_read = fd_ >= 0 && ::fstat(fd_, &info) == 0;
  const int problem = errno;
  if (is_read && S_ISREG(info.st_mode)) {
    size_ = info.st_size;
    return;
  }
  if (fd_ >= 0) ::close(fd_);
  throw Error(ErrorKind::kInput,
              str("cannot read ", path_, ": ",
                  is_read ? "it is no regular file" : std::strerror(problem),
                  "; give the folder of a backup, or the file of an archive"));
}

TarReader::~TarReader() { ::close(fd_); }

void TarReader::fail(const std::string& found) const {
  throw Error(ErrorKind::kInput,
              str(path_,
                  ": expected an archive that selfalign backup made, "
                  "found ",
                  found, " at byte ", next_,
                  "; it is damaged or cut short: use another backup"));
}

void TarReader::read_at(int64_t at, char* bytes, size_t size) const {
  while (size > 0) {
    stop_if_interrupted("run the same command again");
    const ssize_t n = ::pread(fd_, bytes, size, at);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail(std::strerror(errno));
    if (n == 0) fail("its end");
    bytes += n;
    at += n;
    size -= static_cast<size_t>(n);
  }
}

std::optional<TarReader::Entry> TarReader::next() {
  Header header;
  if (next_ + kBlock > size_) fail("its end");
  read_at(next_, header.data(), header.size());
  if (std::all_of(header.begin(), header.end(),
                  [](char c) { return c == '\0'; })) {
    return std::nullopt;
  }
  const auto sum = number_in(header, kSum);
  if (!sum || *sum != sum_of(header) || text_in(header, kMagic) != "ustar") {
    fail("no header");
  }
  const auto size = number_in(header, kSize);
  if (!size) fail("a header without a size");
  Entry entry;
  entry.name = text_in(header, kName);
  const std::string prefix = text_in(header, kPrefix);
  if (!prefix.empty()) entry.name = prefix + "/" + entry.name;
  entry.is_file = header[kKind] == '0' || header[kKind] == '\0';
  if (!entry.is_file) entry.kind = kind_name(header[kKind]);
  entry.size = entry_size_ = *size;
  begin_ = next_ + kBlock;
  if (*size > size_ - begin_) {
    fail(str("an entry of ", *size, " bytes, more than the file has"));
  }
  next_ = begin_ + padded(*size);
  return entry;
}

void TarReader::read(const std::function<void(std::string_view piece)>& take) {
  constexpr int64_t kPiece = int64_t{1} << 20;
  std::string piece;
  for (int64_t done = 0; done < entry_size_;) {
    const int64_t here = std::min(kPiece, entry_size_ - done);
    piece.resize(static_cast<size_t>(here));
    read_at(begin_ + done, piece.data(), piece.size());
    take(piece);
    done += here;
  }
}

}  // namespace selfalign::backup
