// SPDX-License-Identifier: Apache-2.0
// Files of folders that may come from somebody else, as a run's: what is
// opened for writing is a regular file of that folder and made or meant for it.
// A link, which leads anywhere, and a pipe or a device, at which a write waits,
// are refused: Error kDamaged. A disk or folder that does not take the bytes is
// Error kResources.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace selfalign {

// Throws Error kDamaged where there is something at `path` and it is no plain
// file.
void require_plain_file(const std::string& path);
// The same for a plain folder.
void require_plain_folder(const std::string& path);

// Throws Error kDamaged where `path`, seen from `folder`, leads out of it: by
// ".." or a link among its parts. What is not there leads nowhere; links may
// lead to `folder` itself.
void require_own_path(const std::string& folder, const std::string& path);

// Opens the file, made where absent, with `flags` (O_WRONLY, O_RDWR, O_APPEND);
// the descriptor is the caller's.
int open_own_file(const std::string& path, int flags);

// Makes `folder`, wherever links lead to it, and below it the folders of
// `path`, of which none may be a link.
void make_folder_in(const std::string& folder, const std::string& path);

// A file that grows at its end.
class OwnFile {
 public:
  // Cut at `size` bytes; made where absent.
  OwnFile(std::string path, uint64_t size);
  // As it is.
  explicit OwnFile(std::string path);
  ~OwnFile();
  OwnFile(const OwnFile&) = delete;
  OwnFile& operator=(const OwnFile&) = delete;

  void append(std::string_view bytes);
  void sync();  // durable from here on
  const std::string& path() const { return path_; }

 private:
  [[noreturn]] void fail() const;

  std::string path_;
  int fd_ = -1;
};

}  // namespace selfalign
