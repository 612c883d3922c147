// SPDX-License-Identifier: Apache-2.0
// What all targets share. A target defines `fuzz_one`; what it throws as Error
// is the reader's right answer to a broken file.
#pragma once

#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "base/error.h"

void fuzz_one(std::string_view bytes);

// Where files of this process begin: in memory where there is a place for
// that, since every input is a file; they go away when it ends.
inline const std::string& fuzz_stem() {
  struct Stem {
    Stem() {
      std::error_code ignored;
      const std::filesystem::path memory = "/dev/shm";
      const bool has = std::filesystem::is_directory(memory, ignored);
      path = (has ? memory : std::filesystem::temp_directory_path()) /
             selfalign::str("selfalign_fuzz_", ::getpid(), "/");
      std::filesystem::create_directories(path);
    }
    ~Stem() {
      std::error_code ignored;
      std::filesystem::remove_all(path, ignored);
    }
    std::string path;
  };
  static const Stem stem;
  return stem.path;
}

inline void fuzz_write(const std::string& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

// The bytes as a file whose name ends in `suffix`, one for each process; it is
// overwritten by the next call.
inline std::string fuzz_file(std::string_view bytes,
                             const std::string& suffix) {
  const std::string path = fuzz_stem() + "file" + suffix;
  fuzz_write(path, bytes);
  return path;
}

// An empty folder of the process's own, for readers of folders; what is in it
// stays until the next call.
inline std::string fuzz_folder() {
  const std::string folder = fuzz_stem() + "folder";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directory(folder);
  return folder;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    fuzz_one({reinterpret_cast<const char*>(data), size});
  } catch (const selfalign::Error&) {
    return 0;
  }
  return 0;
}
