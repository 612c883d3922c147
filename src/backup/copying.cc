// SPDX-License-Identifier: Apache-2.0
#include "backup/copying.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/error.h"
#include "base/own_file.h"

namespace selfalign::backup {

void fail_write(const std::string& path, int error) {
  throw Error(ErrorKind::kResources,
              str("cannot write ", path, ": ", std::strerror(error),
                  "; free some space or make the folder writable, then run "
                  "the same command again"));
}

bool copy_file(const SourceFile& source, const std::string& sha256,
               const std::string& path) {
  bool is_same = false;
  {
    OwnFile out(path, 0);
    const auto append = [&out](std::string_view piece) { out.append(piece); };
    is_same = source.read(append) == sha256;
    if (is_same) out.sync();
  }
  if (!is_same) ::unlink(path.c_str());
  return is_same;
}

void rename_file(const std::string& from, const std::string& to) {
  if (std::rename(from.c_str(), to.c_str()) != 0) fail_write(to, errno);
}

void sync_folder(const std::string& folder) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) fail_write(folder, errno);
  // Some network file systems cannot sync a folder and say EINVAL.
  const int error = ::fsync(fd) == 0 || errno == EINVAL ? 0 : errno;
  ::close(fd);
  if (error != 0) fail_write(folder, error);
}

}  // namespace selfalign::backup
