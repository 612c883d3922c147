// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "base/disk_full.h"
#include "base/error.h"
#include "base/file_kind.h"
#include "base/interrupt.h"
#include "base/lfs_pointer.h"
#include "base/log_line.h"
#include "base/number.h"

namespace selfalign {
namespace {

constexpr char kTemporaryMark[] = ".tmp-";  // then process id, "-", 16 digits

constexpr mode_t kPrivateFile = 0600;

// A file descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

int open_retry(const char* path, int flags, mode_t mode = 0) {
  int fd = -1;
  do {
    fd = ::open(path, flags | O_CLOEXEC, mode);
  } while (fd < 0 && errno == EINTR);
  return fd;
}

// A read or an open was cut short by a signal: one that asks to stop ends the
// wait for a stream.
void stop_waiting(const std::string& path) {
  if (!interrupted()) return;
  throw Error(ErrorKind::kInterrupted,
              path +
                  ": interrupted before its end was read; run the same "
                  "command again");
}

[[noreturn]] void throw_read(const std::string& path, const char* act) {
  const int error = errno;
  throw Error(ErrorKind::kInput,
              str("cannot ", act, " ", path, ": ",
                  error == ENOENT ? "no such file" : std::strerror(error),
                  "; check the path and its rights"));
}

[[noreturn]] void throw_write(const std::string& path, int error) {
  const bool full = is_disk_full(error);
  const bool broken = error == EIO;
  throw Error(full || broken ? ErrorKind::kResources : ErrorKind::kFailed,
              str("cannot write ", path, ": ", std::strerror(error),
                  full     ? "; free some space, then run the same command "
                             "again"
                  : broken ? "; check the disk, then run the same command "
                             "again"
                           : "; check that the folder exists and is "
                             "writable"));
}

enum class Allowed { kFiles, kStreams };

// Opens for reading what is no folder and, unless it `allows` them, no stream;
// does not wait for the other end of a pipe then. `info` is the file's.
int open_for_reading(const std::string& path, Allowed allows,
                     struct stat& info) {
  const int wait = allows == Allowed::kStreams ? 0 : O_NONBLOCK;
  const int flags = O_RDONLY | O_NOCTTY | O_CLOEXEC | wait;
  int fd = -1;
  while ((fd = ::open(path.c_str(), flags)) < 0 && errno == EINTR) {
    stop_waiting(path);
  }
  if (fd < 0) throw_read(path, "open");
  if (::fstat(fd, &info) != 0) {
    const int kept = errno;
    ::close(fd);
    errno = kept;
    throw_read(path, "read");
  }
  const bool good = allows == Allowed::kStreams ? !S_ISDIR(info.st_mode)
                                                : S_ISREG(info.st_mode);
  if (good) return fd;
  ::close(fd);
  throw Error(ErrorKind::kInput,
              str(path, ": this is ", file_kind(info.st_mode),
                  ", not a regular file; check the path, or put the file "
                  "itself there"));
}

void refuse_lfs_pointer(const std::string& path, std::string_view content) {
  if (!is_lfs_pointer(content)) return;
  throw Error(ErrorKind::kInput,
              path +
                  ": a git-lfs pointer stands in the file's place; fetch the "
                  "file with 'git lfs pull' in its "
                  "repository, or download it again");
}

std::string read_whole(const std::string& path, Allowed allows,
                       uint64_t max_bytes) {
  struct stat info {};
  const Descriptor fd(open_for_reading(path, allows, info));
  const bool regular = S_ISREG(info.st_mode);
  if (!regular) max_bytes = std::min(max_bytes, kMaxStream);
  const uint64_t size = regular ? static_cast<uint64_t>(info.st_size) : 0;
  std::string content;
  const auto refuse = [&] {
    throw Error(ErrorKind::kInput,
                str(path, ": expected at most ", max_bytes, " bytes",
                    regular ? "" : str(" of ", file_kind(info.st_mode)),
                    ", found more; is this the right file?"));
  };
  if (size > max_bytes) refuse();
  constexpr uint64_t kStep = uint64_t{1} << 16;
  // Room that nobody has written to takes no memory; growing would copy.
  if (!regular) content.reserve(max_bytes + kStep + 1);
  // One byte more than the size, so that the end is seen without growing.
  content.resize(regular ? size + 1 : kStep);
  uint64_t done = 0;
  for (;;) {
    if (done == content.size()) content.resize(done + kStep);
    const ssize_t n =
        ::read(fd.get(), content.data() + done, content.size() - done);
    if (n < 0 && errno == EINTR) {
      stop_waiting(path);
      continue;
    }
    if (n < 0) throw_read(path, "read");
    if (n == 0) break;
    done += static_cast<uint64_t>(n);
    if (done > max_bytes) refuse();
  }
  content.resize(done);
  refuse_lfs_pointer(path, content);
  return content;
}

int64_t changed_ns(const struct stat& info) {
  return int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec;
}

std::string changed_text(const std::string& path) {
  return path +
         ": the file was cut short or written to while it was read, or its "
         "disk fails; put it back whole, then run the same command again";
}

std::string folder_of(const std::string& path) {
  const auto folder = std::filesystem::path(path).parent_path();
  return folder.empty() ? "." : folder.string();
}

// Opens a new file beside `path` under a name that nobody can have put there:
// no link is followed, no pipe waited for. Sets `name`; -1 with errno set.
int open_temporary(const std::string& path, std::string& name) {
  constexpr int kTries = 100;
  const mode_t mode = new_file_mode(folder_of(path));
  for (int i = 0; i < kTries; ++i) {
    uint64_t number = 0;
    if (::getrandom(&number, sizeof(number), 0) != sizeof(number)) return -1;
    name = str(path, kTemporaryMark, ::getpid(), "-", number);
    const int fd = open_retry(name.c_str(),
                              O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
    if (fd >= 0 || errno != EEXIST) return fd;
  }
  return -1;
}

// Returns 0 or the errno of the first failure.
int write_all(int fd, std::string_view content) {
  while (!content.empty()) {
    const ssize_t n = ::write(fd, content.data(), content.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    content.remove_prefix(static_cast<size_t>(n));
  }
  return 0;
}

// Makes a rename or a new name in `folder` durable.
void sync_folder(const std::string& folder) {
  const Descriptor fd(open_retry(folder.c_str(), O_RDONLY | O_DIRECTORY));
  if (fd.get() < 0) throw_write(folder, errno);
  // Some network file systems cannot sync a folder and say EINVAL.
  if (::fsync(fd.get()) != 0 && errno != EINVAL) throw_write(folder, errno);
}

}  // namespace

std::string read_file(const std::string& path, uint64_t max_bytes) {
  return read_whole(path, Allowed::kFiles, max_bytes);
}

std::string read_input(const std::string& path, uint64_t max_bytes) {
  return read_whole(path, Allowed::kStreams, max_bytes);
}

bool is_file(const std::filesystem::path& path) {
  std::error_code ignored;
  return std::filesystem::is_regular_file(path, ignored);
}

void write_file_atomic(const std::string& path, std::string_view content) {
  write_file_atomic(path, std::vector<std::string_view>{content});
}

void write_file_atomic(const std::string& path,
                       const std::vector<std::string_view>& parts) {
  std::string temporary;
  int error = 0;
  {
    const Descriptor fd(open_temporary(path, temporary));
    if (fd.get() < 0) throw_write(path, errno);
    for (const std::string_view part : parts) {
      if (error == 0) error = write_all(fd.get(), part);
    }
    if (error == 0 && ::fsync(fd.get()) != 0) error = errno;
  }
  if (error == 0 && std::rename(temporary.c_str(), path.c_str()) != 0) {
    error = errno;
  }
  if (error != 0) {
    ::unlink(temporary.c_str());
    throw_write(path, error);
  }
  sync_folder(folder_of(path));
}

void remove_stale_temporaries(const std::string& folder) {
  namespace fs = std::filesystem;
  std::error_code ignored;  // what is left lies there and harms nobody
  for (fs::recursive_directory_iterator entry(folder, ignored), end;
       !ignored && entry != end; entry.increment(ignored)) {
    const std::string name = entry->path().filename().string();
    const size_t mark = name.rfind(kTemporaryMark);
    if (mark == std::string::npos) continue;
    const size_t begin = mark + std::strlen(kTemporaryMark);
    const size_t dash = name.find('-', begin);
    if (dash == std::string::npos) continue;
    const auto pid = parse_number<pid_t>(name.substr(begin, dash - begin), 1);
    if (pid && ::kill(*pid, 0) != 0 && errno == ESRCH) {
      ::unlink(entry->path().c_str());
    }
  }
}

void make_folder(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code error;
  fs::path made;
  for (const fs::path& part : fs::path(path)) {
    const bool is_private =
        new_file_mode(made.empty() ? "." : made.string()) == kPrivateFile;
    made /= part;
    if (part.empty() || fs::exists(made, error)) continue;
    if (::mkdir(made.c_str(), is_private ? 0700 : 0777) != 0 &&
        errno != EEXIST) {
      throw_write(path, errno);
    }
  }
  if (!fs::is_directory(path, error)) throw_write(path, ENOTDIR);
}

void make_private_folder(const std::string& path) {
  std::string name = path;
  while (name.size() > 1 && name.ends_with('/')) name.pop_back();
  make_folder(folder_of(name));
  if (::mkdir(name.c_str(), 0700) != 0 && errno != EEXIST) {
    throw_write(path, errno);
  }
  std::error_code error;
  if (!std::filesystem::is_directory(path, error)) {
    throw Error(ErrorKind::kUsage,
                path +
                    ": expected a folder or nothing, found another kind of "
                    "file; name another place");
  }
}

unsigned new_file_mode(const std::string& folder) {
  struct stat info {};
  if (::stat(folder.c_str(), &info) != 0) return 0666;
  return (info.st_mode & 077) == 0 ? kPrivateFile : 0666;
}

void make_file(const std::string& path) {
  // O_EXCL: what is there already, a pipe even, is not opened.
  const Descriptor fd(open_retry(path.c_str(), O_WRONLY | O_CREAT | O_EXCL,
                                 new_file_mode(folder_of(path))));
  if (fd.get() < 0 && errno != EEXIST) throw_write(path, errno);
}

ScratchFolder::ScratchFolder(const std::string& parent) {
  namespace fs = std::filesystem;
  std::error_code problem;
  const fs::path place =
      parent.empty() ? fs::temp_directory_path(problem) : fs::path(parent);
  if (problem) {
    throw Error(ErrorKind::kUsage,
                str("no folder for what is temporary (TMPDIR, else /tmp): ",
                    problem.message(), "; set TMPDIR to a writable folder"));
  }
  path_ = (place / "selfalign-XXXXXX").string();
  if (::mkdtemp(path_.data()) == nullptr) {
    throw Error(ErrorKind::kResources,
                str("cannot make the scratch folder ", path_, ": ",
                    std::strerror(errno), "; set TMPDIR to a writable folder"));
  }
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

MappedFile::MappedFile(const std::string& path) : path_(path), data_("") {
  struct stat info {};
  Descriptor fd(open_for_reading(path, Allowed::kFiles, info));
  changed_ns_ = changed_ns(info);
  size_ = static_cast<size_t>(info.st_size);
  if (size_ > 0) {
    void* data = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd.get(), 0);
    if (data == MAP_FAILED) throw_read(path, "map");
    data_ = static_cast<const char*>(data);
  }
  try {
    guard_.emplace(data_, size_, error_line(changed_text(path)));
    refuse_lfs_pointer(path, bytes());
  } catch (...) {
    if (size_ > 0) ::munmap(const_cast<char*>(data_), size_);
    throw;
  }
  fd_ = fd.release();
}

MappedFile::~MappedFile() {
  guard_.reset();
  if (size_ > 0) ::munmap(const_cast<char*>(data_), size_);
  ::close(fd_);
}

void MappedFile::require_unchanged() const {
  struct stat info {};
  if (::fstat(fd_, &info) != 0) throw_read(path_, "read");
  if (static_cast<size_t>(info.st_size) == size_ &&
      changed_ns(info) == changed_ns_) {
    return;
  }
  throw Error(ErrorKind::kInput, changed_text(path_));
}

}  // namespace selfalign
