// SPDX-License-Identifier: Apache-2.0
#include "backup/source_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/sha256.h"

namespace selfalign::backup {
namespace {

[[noreturn]] void fail(const std::string& path, const std::string& problem) {
  throw Error(ErrorKind::kInput, str("cannot read ", path, ": ", problem,
                                     "; check it and its rights, then run the "
                                     "same command again"));
}

}  // namespace

std::optional<SourceFile> SourceFile::open(const std::string& path) {
  int fd = -1;
  do {
    fd = ::open(path.c_str(),
                O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  } while (fd < 0 && errno == EINTR);
  if (fd < 0) {
    // A link, nothing (any more), a socket.
    const bool is_none =
        errno == ELOOP || errno == ENOENT || errno == ENOTDIR || errno == ENXIO;
    if (is_none) return std::nullopt;
    fail(path, std::strerror(errno));
  }
  SourceFile file(path, fd);
  struct stat info {};
  if (::fstat(fd, &info) != 0) fail(path, std::strerror(errno));
  if (!S_ISREG(info.st_mode)) return std::nullopt;
  file.size_ = info.st_size;
  file.mtime_ns_ =
      int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec;
  file.inode_ = info.st_ino;
  file.executable_ = (info.st_mode & S_IXUSR) != 0;
  return file;
}

SourceFile::~SourceFile() {
  if (fd_ >= 0) ::close(fd_);
}

SourceFile::SourceFile(SourceFile&& other) noexcept
    : path_(std::move(other.path_)),
      fd_(std::exchange(other.fd_, -1)),
      size_(other.size_),
      mtime_ns_(other.mtime_ns_),
      inode_(other.inode_),
      executable_(other.executable_) {}

std::string SourceFile::read(const Take& take) const {
  Sha256 sha256;
  std::string piece;
  for (int64_t done = 0; done < size_;) {
    stop_if_interrupted("run the same command again");
    piece.resize(static_cast<size_t>(std::min<int64_t>(kPiece, size_ - done)));
    const ssize_t n = ::pread(fd_, piece.data(), piece.size(), done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail(path_, std::strerror(errno));
    if (n == 0) fail(path_, "it was cut short while it was read");
    piece.resize(static_cast<size_t>(n));
    sha256.add(piece);
    if (take) take(piece);
    done += n;
  }
  return sha256.hex();
}

}  // namespace selfalign::backup
