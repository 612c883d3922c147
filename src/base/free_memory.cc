// SPDX-License-Identifier: Apache-2.0
#include "base/free_memory.h"

#include <string>

#include "base/error.h"
#include "base/file.h"
#include "base/number.h"

namespace selfalign {

std::optional<uint64_t> free_memory() {
  constexpr std::string_view kName = "MemAvailable:";
  constexpr uint64_t kKib = 1024;
  std::string text;
  try {
    text = read_file("/proc/meminfo", 1 << 20);
  } catch (const Error&) {
    return std::nullopt;
  }
  const size_t name = text.find(kName);
  if (name == std::string::npos) return std::nullopt;
  const size_t begin = text.find_first_not_of(' ', name + kName.size());
  if (begin == std::string::npos) return std::nullopt;
  const std::string_view number =
      std::string_view(text).substr(begin, text.find(' ', begin) - begin);
  const auto kib = parse_number<uint64_t>(number, 0, UINT64_MAX / kKib);
  if (!kib) return std::nullopt;
  return *kib * kKib;
}

}  // namespace selfalign
