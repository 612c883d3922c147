// SPDX-License-Identifier: Apache-2.0
#include "base/user_path.h"

#include <pwd.h>
#include <unistd.h>

#include <cstdlib>

#include "base/error.h"

namespace selfalign {
namespace {

// "": not known.
std::string home_of(const std::string& user) {
  const passwd* entry = nullptr;
  if (user.empty()) {
    const char* home = std::getenv("HOME");
    if (home != nullptr && *home != '\0') return home;
    entry = ::getpwuid(::getuid());
  } else {
    entry = ::getpwnam(user.c_str());
  }
  return entry != nullptr ? entry->pw_dir : "";
}

}  // namespace

std::string user_path(const std::string& path) {
  const auto refuse = [&path](const char* found, const char* what_to_do) {
    throw Error(ErrorKind::kUsage, str("expected a path, found ", found,
                                       " in \"", path, "\"", what_to_do));
  };
  if (path.starts_with('$') || path.find("/$") != std::string::npos) {
    refuse("the shell's variable",
           ", which is not replaced here; write the folder out, or ~ for the "
           "home folder");
  }
  if (path.starts_with(' ') || path.starts_with('\t')) {
    refuse("a blank before it", "; remove the blank");
  }
  if (path.starts_with("file://")) {
    refuse("a URL", "; write the path alone, without file://");
  }
  if (!path.starts_with('~')) return path;
  const size_t end = std::min(path.find('/'), path.size());
  const std::string home = home_of(path.substr(1, end - 1));
  if (home.empty()) {
    throw Error(ErrorKind::kUsage,
                str("there is no user of that name in \"", path, "\"; write ./",
                    path, " for a file of that name"));
  }
  std::string rest = path.substr(end);
  return home.ends_with('/') && !rest.empty() ? home + rest.substr(1)
                                              : home + rest;
}

}  // namespace selfalign
