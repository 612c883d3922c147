// SPDX-License-Identifier: Apache-2.0
#include "base/folder.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "base/error.h"

namespace selfalign {
namespace {

namespace fs = std::filesystem;

template <typename Iterator>
std::vector<std::string> paths_of(
    const std::string& folder,
    bool (*is_wanted)(const fs::directory_entry& entry)) {
  std::vector<std::string> paths;
  std::error_code problem;
  for (Iterator entry(folder, problem), end; !problem && entry != end;
       entry.increment(problem)) {
    if (is_wanted(*entry)) paths.push_back(entry->path().string());
  }
  if (problem) {
    throw Error(ErrorKind::kInput,
                str("cannot read the folder ", folder, ": ", problem.message(),
                    "; check the path and the rights to it"));
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

}  // namespace

std::vector<std::string> list_folder(const std::string& folder) {
  return paths_of<fs::directory_iterator>(
      folder, [](const fs::directory_entry&) { return true; });
}

std::vector<std::string> list_files_below(const std::string& folder) {
  return paths_of<fs::recursive_directory_iterator>(
      folder, [](const fs::directory_entry& entry) {
        std::error_code ignored;
        return entry.is_regular_file(ignored);
      });
}

}  // namespace selfalign
