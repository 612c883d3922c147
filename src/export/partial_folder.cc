// SPDX-License-Identifier: Apache-2.0
#include "export/partial_folder.h"

#include <filesystem>

#include "base/error.h"
#include "base/file.h"

namespace selfalign::exports {
namespace {

namespace fs = std::filesystem;

// By which a folder is known as one that was being made.
constexpr char kMark[] = "/.selfalign-partial";

std::string without_slash(const std::string& path) {
  std::string folder = fs::path(path).lexically_normal();
  while (folder.size() > 1 && folder.back() == '/') folder.pop_back();
  return folder;
}

}  // namespace

PartialFolder::PartialFolder(const std::string& folder)
    : folder_(without_slash(folder)), partial_(folder_ + ".partial") {
  if (fs::exists(folder_)) {
    throw Error(ErrorKind::kUsage,
                folder_ +
                    ": expected a folder that is not there yet, found "
                    "one; name another, or remove it first");
  }
  std::error_code problem;
  if (fs::exists(partial_) && !is_file(partial_ + kMark)) {
    throw Error(ErrorKind::kUsage,
                partial_ +
                    ": expected nothing there or what a stopped command left, "
                    "found something else; move it away, or name another "
                    "folder");
  }
  fs::remove_all(partial_, problem);
  make_folder(partial_);
  write_file_atomic(partial_ + kMark, "");
}

PartialFolder::~PartialFolder() {
  std::error_code ignored;
  fs::remove_all(partial_, ignored);
}

bool PartialFolder::is_mark(const fs::path& file) {
  return file.filename() == kMark + 1;
}

void PartialFolder::publish() const {
  std::error_code problem;
  fs::remove(partial_ + kMark, problem);
  fs::rename(partial_, folder_, problem);
  if (problem) {
    throw Error(
        ErrorKind::kFailed,
        str("cannot rename ", partial_, " to ", folder_, ": ",
            problem.message(),
            "; move away what is there, then run the same command again"));
  }
}

}  // namespace selfalign::exports
