// SPDX-License-Identifier: Apache-2.0
// Archives of plain files as POSIX tar (ustar). A size of 8 GiB or more stands
// in base 256, as GNU tar and libarchive write and read it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace selfalign::backup {

// Hands the archive's bytes to `write` as they come.
class TarWriter {
 public:
  using Write = std::function<void(std::string_view bytes)>;
  explicit TarWriter(Write write) : write_(std::move(write)) {}

  // Begins a file of `size` bytes; exactly so many must be added before the
  // next. `name` has at most 100 bytes.
  void begin(const std::string& name, int64_t size);
  void add(std::string_view bytes);
  // Ends the archive: without that it is none.
  void finish();
  int64_t num_bytes() const { return num_bytes_; }  // handed on so far

 private:
  void put(std::string_view bytes);
  void pad();

  Write write_;
  int64_t num_bytes_ = 0;
  int64_t left_ = 0;  // of the file that was begun
};

// Reads an archive of anybody's.
class TarReader {
 public:
  struct Entry {
    std::string name;  // as it stands there
    bool is_file = false;
    std::string kind;  // "a link", ... of what is none
    int64_t size = 0;  // bytes
  };

  // Error kInput where it cannot be opened or is no regular file.
  explicit TarReader(std::string path);
  ~TarReader();
  TarReader(const TarReader&) = delete;
  TarReader& operator=(const TarReader&) = delete;

  // The next entry, none at the archive's end. What was not read of the one
  // before is passed over. Error kInput where there is no header, an entry goes
  // on behind the end of the file, or the file ends without the archive's end.
  std::optional<Entry> next();
  // The entry's bytes, piece by piece, none of more than 1 MiB.
  void read(const std::function<void(std::string_view piece)>& take);

 private:
  void read_at(int64_t at, char* bytes, size_t size) const;
  [[noreturn]] void fail(const std::string& found) const;

  std::string path_;
  int fd_ = -1;
  int64_t size_ = 0;   // of the file
  int64_t begin_ = 0;  // of the entry's bytes
  int64_t next_ = 0;   // of the next header
  int64_t entry_size_ = 0;
};

}  // namespace selfalign::backup
