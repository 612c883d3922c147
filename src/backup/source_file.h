// SPDX-License-Identifier: Apache-2.0
// A file that is copied: opened once, so that what is read is one file, whoever
// puts another in its place meanwhile.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace selfalign::backup {

class SourceFile {
 public:
  using Take = std::function<void(std::string_view piece)>;

  // None where there is nothing, a link or no regular file; nothing is waited
  // for. Error kInput where it cannot be opened.
  static std::optional<SourceFile> open(const std::string& path);
  ~SourceFile();
  SourceFile(SourceFile&& other) noexcept;
  SourceFile(const SourceFile&) = delete;
  SourceFile& operator=(const SourceFile&) = delete;

  const std::string& path() const { return path_; }
  int64_t size() const { return size_; }          // bytes, when it was opened
  int64_t mtime_ns() const { return mtime_ns_; }  // Unix time
  uint64_t inode() const { return inode_; }
  bool executable() const { return executable_; }  // by its owner

  // Its first size() bytes piece by piece, each at most kPiece; their SHA-256.
  // Error kInput where it was cut short or cannot be read, kInterrupted after a
  // signal.
  std::string read(const Take& take = {}) const;
  static constexpr size_t kPiece = size_t{1} << 20;

 private:
  SourceFile(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}

  std::string path_;
  int fd_ = -1;
  int64_t size_ = 0;
  int64_t mtime_ns_ = 0;
  uint64_t inode_ = 0;
  bool executable_ = false;
};

}  // namespace selfalign::backup
