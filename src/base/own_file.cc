// SPDX-License-Identifier: Apache-2.0
#include "base/own_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/file_kind.h"
#include "base/shown.h"

namespace selfalign {
namespace {

[[noreturn]] void refuse(const std::string& path, const char* wanted,
                         mode_t mode) {
  throw Error(ErrorKind::kDamaged,
              str(path, ": this is ", file_kind(mode), ", not ", wanted,
                  " of the run; put its own in its place, or look where it "
                  "comes from"));
}

[[noreturn]] void throw_refused(const std::string& path, int error) {
  throw Error(ErrorKind::kResources,
              str("cannot write ", path, ": ", std::strerror(error),
                  "; free disk space or make the folder writable"));
}

}  // namespace

void require_plain_file(const std::string& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0 || S_ISREG(info.st_mode)) return;
  refuse(path, "a file", info.st_mode);
}

void require_plain_folder(const std::string& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0 || S_ISDIR(info.st_mode)) return;
  refuse(path, "a folder", info.st_mode);
}

void require_own_path(const std::string& folder, const std::string& path) {
  namespace fs = std::filesystem;
  const fs::path plain = fs::path(path).lexically_normal();
  if (plain.is_absolute() || (!plain.empty() && *plain.begin() == "..")) {
    throw Error(ErrorKind::kDamaged,
                str(folder, ": expected a path within this folder, found ",
                    shown(path, 200), "; look where the folder comes from"));
  }
  fs::path whole = folder;
  for (const fs::path& part : fs::path(path)) {
    whole /= part;
    struct stat info {};
    if (::lstat(whole.c_str(), &info) != 0) return;
    if (S_ISLNK(info.st_mode)) refuse(whole, "a file or folder", info.st_mode);
  }
}

int open_own_file(const std::string& path, int flags) {
  require_plain_file(path);  // a device may do something when it is opened
  const mode_t mode =
      new_file_mode(std::filesystem::path(path).parent_path().string());
  int fd = -1;
  do {
    fd = ::open(
        path.c_str(),
        flags | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, mode);
  } while (fd < 0 && errno == EINTR);
  if (fd < 0) {
    const int error = errno;
    require_plain_file(path);
    throw_refused(path, error);
  }
  struct stat info {};
  if (::fstat(fd, &info) == 0 && S_ISREG(info.st_mode)) return fd;
  ::close(fd);
  refuse(path, "a file", info.st_mode);
}

void make_folder_in(const std::string& folder, const std::string& path) {
  make_folder(folder);
  std::filesystem::path made = folder;
  for (const std::filesystem::path& part : std::filesystem::path(path)) {
    made /= part;
    require_plain_folder(made.string());
    make_folder(made.string());
  }
}

OwnFile::OwnFile(std::string path, uint64_t size) : OwnFile(std::move(path)) {
  if (::ftruncate(fd_, static_cast<off_t>(size)) != 0) fail();
}

OwnFile::OwnFile(std::string path)
    : path_(std::move(path)), fd_(open_own_file(path_, O_WRONLY | O_APPEND)) {}

OwnFile::~OwnFile() { ::close(fd_); }

void OwnFile::append(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail();
    bytes.remove_prefix(static_cast<size_t>(n));
  }
}

void OwnFile::sync() {
  if (::fsync(fd_) != 0) fail();
}

void OwnFile::fail() const { throw_refused(path_, errno); }

}  // namespace selfalign
