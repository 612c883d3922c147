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

inline void fuzz_write(const std::string& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

// The bytes as a file whose name ends in `suffix`, one for each process; it is
// overwritten by the next call.
inline std::string fuzz_file(std::string_view bytes,
                             const std::string& suffix) {
  static const std::string stem =
      (std::filesystem::temp_directory_path() /
       selfalign::str("selfalign_fuzz_", ::getpid()))
          .string();
  fuzz_write(stem + suffix, bytes);
  return stem + suffix;
}

// A folder of the process's own, for readers of folders; what is in it stays
// until the next call.
inline std::string fuzz_folder() {
  static const std::string folder = fuzz_file("", "") + ".folder";
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
