// SPDX-License-Identifier: Apache-2.0
#include "backup/changes.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

#include "backup/copying.h"
#include "base/error.h"
#include "base/file.h"
#include "base/own_file.h"
#include "base/sha256.h"

namespace selfalign::backup {
namespace {

constexpr size_t kNumber = 8;
constexpr size_t kRecord = kNumber + kBlock;

std::string_view block_of(std::string_view bytes, size_t number) {
  const size_t at = number * kBlock;
  return at < bytes.size() ? bytes.substr(at, kBlock) : std::string_view();
}

// An open file that closes itself.
struct Opened {
  int fd;
  ~Opened() { ::close(fd); }
};

void write_at(int fd, const std::string& path, std::string_view bytes,
              uint64_t at) {
  while (!bytes.empty()) {
    const ssize_t n =
        ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail_write(path, errno);
    bytes.remove_prefix(static_cast<size_t>(n));
    at += static_cast<uint64_t>(n);
  }
}

}  // namespace

Changes write_changes(const std::string& before, const std::string& now,
                      const std::string& path) {
  const MappedFile old_file(before);
  const MappedFile new_file(now);
  OwnFile out(path, 0);
  Sha256 sha256;
  Changes changes;
  std::string records;
  const auto flush = [&] {
    sha256.add(records);
    out.append(records);
    changes.num_bytes += static_cast<int64_t>(records.size());
    records.clear();
  };
  const size_t num_blocks = (new_file.size() + kBlock - 1) / kBlock;
  for (size_t i = 0; i < num_blocks; ++i) {
    const std::string_view block = block_of(new_file.bytes(), i);
    if (block == block_of(old_file.bytes(), i)) continue;
    for (size_t byte = 0; byte < kNumber; ++byte) {
      records += static_cast<char>(i >> (8 * byte) & 255);
    }
    records.append(block).append(kBlock - block.size(), '\0');
    ++changes.num_blocks;
    if (records.size() > (size_t{1} << 20)) flush();
  }
  flush();
  out.sync();
  changes.sha256 = sha256.hex();
  return changes;
}

void apply_changes(const std::string& changes, const std::string& sha256,
                   const std::string& file, int64_t size) {
  require_plain_file(changes);
  const MappedFile in(changes);
  const std::string found = sha256_bytes(in.bytes());
  const auto refuse = [&](const std::string& what) {
    throw Error(
        ErrorKind::kDamaged,
        str(changes, ": expected blocks of ", file, " with SHA-256 ", sha256,
            ", found ", what, "; this backup is damaged: use another one"));
  };
  if (found != sha256) refuse(found);
  if (in.size() % kRecord != 0) refuse("a part of a block");
  const Opened out{open_own_file(file, O_WRONLY)};
  const auto end = static_cast<uint64_t>(size);
  for (size_t at = 0; at < in.size(); at += kRecord) {
    uint64_t number = 0;
    for (size_t byte = kNumber; byte-- > 0;) {
      number = number << 8 | static_cast<unsigned char>(in.data()[at + byte]);
    }
    if (number >= (end + kBlock - 1) / kBlock) refuse("one behind its end");
    const uint64_t begin = number * kBlock;
    write_at(out.fd, file,
             in.bytes().substr(at + kNumber,
                               std::min<uint64_t>(kBlock, end - begin)),
             begin);
  }
  if (::ftruncate(out.fd, static_cast<off_t>(size)) != 0 ||
      ::fsync(out.fd) != 0) {
    fail_write(file, errno);
  }
}

}  // namespace selfalign::backup
