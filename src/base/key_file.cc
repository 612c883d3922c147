// SPDX-License-Identifier: Apache-2.0
#include "base/key_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <iomanip>
#include <sstream>

#include "base/error.h"
#include "base/file_kind.h"

namespace selfalign {
namespace {

constexpr mode_t kOthers = 077;

[[noreturn]] void throw_unreadable(const std::string& path) {
  throw Error(ErrorKind::kInput,
              str("cannot open the key file ", path, ": ", std::strerror(errno),
                  "; check the path and its rights"));
}

void require_private(const std::string& path, const struct stat& info) {
  if (!S_ISREG(info.st_mode)) {
    throw Error(ErrorKind::kInput,
                str(path, ": this is ", file_kind(info.st_mode),
                    ", not a file; put the key into a file"));
  }
  if (info.st_uid != ::geteuid() && info.st_uid != 0) {
    throw Error(
        ErrorKind::kUsage,
        str(path, ": the key file belongs to user ", info.st_uid,
            ", not to the user who runs this; make a file of your own"));
  }
  if ((info.st_mode & kOthers) == 0) return;
  std::ostringstream mode;
  mode << std::oct << std::setw(4) << std::setfill('0')
       << (info.st_mode & 07777);
  throw Error(ErrorKind::kUsage,
              str(path, ": others may read the key file (its rights are ",
                  mode.str(), "); take that away with 'chmod 600 ", path, "'"));
}

// A file descriptor that closes itself.
struct Opened {
  explicit Opened(const std::string& path) {
    do {
      fd = ::open(path.c_str(), O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0) throw_unreadable(path);
  }
  ~Opened() { ::close(fd); }
  Opened(const Opened&) = delete;
  Opened& operator=(const Opened&) = delete;
  int fd = -1;
};

}  // namespace

std::string read_key_file(const std::string& path, uint64_t max_bytes) {
  const Opened file(path);
  struct stat info {};
  if (::fstat(file.fd, &info) != 0) throw_unreadable(path);
  require_private(path, info);
  std::string text;
  char buffer[4096];
  while (text.size() <= max_bytes) {
    const ssize_t count = ::read(file.fd, buffer, sizeof(buffer));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw_unreadable(path);
    if (count == 0) return text;
    text.append(buffer, static_cast<size_t>(count));
  }
  throw Error(ErrorKind::kInput,
              str(path, ": expected at most ", max_bytes,
                  " bytes, found more; is this the right file?"));
}

}  // namespace selfalign
