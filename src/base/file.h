// SPDX-License-Identifier: Apache-2.0
// Files: whole reads with a limit, atomic durable writes, read-only maps.
// Every function throws Error that names the path; kInput for reading,
// kResources for a full or failing disk, kFailed otherwise.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bus_guard.h"

namespace selfalign {

// The whole of a regular file; Error kInput if it is missing, over max_bytes,
// or no such file: for a pipe, a device or a socket in its place nobody waits.
std::string read_file(const std::string& path,
                      uint64_t max_bytes = uint64_t{1} << 30);
// The same of what a person names, which may be a pipe or a device, too:
// `--questions <(...)`, /dev/stdin. Of these at most kMaxStream is read, for
// nobody knows beforehand where they end.
constexpr uint64_t kMaxStream = uint64_t{1} << 28;
std::string read_input(const std::string& path,
                       uint64_t max_bytes = uint64_t{1} << 30);

// Whether a regular file is there.
bool is_file(const std::filesystem::path& path);

// Writes to a new file of a temporary name beside `path`, fsyncs, renames,
// fsyncs the folder: after a crash the old or the new content is there, never a
// mix. What somebody put there under such a name, or under `path`, is not
// written to.
void write_file_atomic(const std::string& path, std::string_view content);
// The same of parts, one after the other.
void write_file_atomic(const std::string& path,
                       const std::vector<std::string_view>& parts);

// Removes what write_file_atomic left in the folder, at any depth, when its
// process was killed. Of processes that live nothing is removed.
void remove_stale_temporaries(const std::string& folder);

// Makes the folder and its parents.
void make_folder(const std::string& path);
// The same, the folder for its owner alone (mode 0700) where it is made here:
// no other person of the machine sees what lies in it. Error kUsage where it is
// no folder.
void make_private_folder(const std::string& path);
// The mode that a new file in `folder` is opened with, before the umask: 0600
// in a folder that is its owner's alone, else 0666. write_file_atomic and
// make_folder keep to it, so that what is made in a private folder, at any
// depth, is private.
unsigned new_file_mode(const std::string& folder);
// An empty file of that mode where none is, for those who cannot give one.
void make_file(const std::string& path);

// A new empty folder in `parent`, or where temporary files go, that goes away
// with the object and all that is in it.
class ScratchFolder {
 public:
  explicit ScratchFolder(const std::string& parent = "");
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// A regular file mapped read-only for the life of the object. One that is cut
// short meanwhile, or whose disk fails, ends the process where what is gone is
// read: with a message of kInput and its exit code (bus_guard.h).
class MappedFile {
 public:
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const char* data() const { return data_; }
  size_t size() const { return size_; }
  std::string_view bytes() const { return {data_, size_}; }
  const std::string& path() const { return path_; }
  // Error kInput if the file was written to since it was mapped: what was read
  // may be of no version, and the rest of a page behind a cut is zeros.
  void require_unchanged() const;

 private:
  std::string path_;
  int fd_ = -1;
  int64_t changed_ns_ = 0;  // when it was written last, as it was mapped
  const char* data_ = nullptr;
  size_t size_ = 0;
  std::optional<BusGuard> guard_;
};

}  // namespace selfalign
