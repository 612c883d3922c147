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

// The bytes as a file whose name ends in `suffix`, one for each process; it is
// overwritten by the next call.
inline std::string fuzz_file(std::string_view bytes,
                             const std::string& suffix) {
  static const std::string stem =
      (std::filesystem::temp_directory_path() /
       selfalign::str("selfalign_fuzz_", ::getpid()))
          .string();
  std::ofstream(stem + suffix, std::ios::binary | std::ios::trunc) << bytes;
  return stem + suffix;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    fuzz_one({reinterpret_cast<const char*>(data), size});
  } catch (const selfalign::Error&) {
    return 0;
  }
  return 0;
}
