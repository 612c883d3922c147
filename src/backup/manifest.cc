// SPDX-License-Identifier: Apache-2.0
#include "backup/manifest.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <string_view>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/record.h"
#include "base/shown.h"

namespace selfalign::backup {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxName = 255;   // bytes of a part of a path
constexpr size_t kMaxPath = 4000;  // bytes

[[noreturn]] void refuse(const std::string& where, const std::string& expected,
                         std::string_view found) {
  throw Error(ErrorKind::kInput,
              str(where, ": expected ", expected, ", found ", shown(found, 200),
                  "; this is no backup that selfalign made: look where it "
                  "comes from"));
}

void require_sha256(const std::string& where, const std::string& text) {
  if (!is_sha256(text)) refuse(where, "a SHA-256, 64 hex digits", text);
}

void require_size(const std::string& where, int64_t size) {
  constexpr int64_t kMaxSize = int64_t{1} << 60;
  if (size < 0 || size > kMaxSize) {
    refuse(where, str("a size from 0 to ", kMaxSize), std::to_string(size));
  }
}

// Of the store, which is backed up by itself.
bool is_reserved(const std::string& path) {
  return path.starts_with("run.db") || path == "run.lock";
}

void require_path(const std::string& where, const std::string& path) {
  const fs::path plain(path);
  const bool is_plain = plain.is_relative() &&
                        plain.lexically_normal().string() == path &&
                        path.find('\0') == std::string::npos;
  const bool is_good =
      is_plain &&
      std::all_of(plain.begin(), plain.end(), [](const fs::path& p) {
        const std::string name = p.string();
        return !name.empty() && name != "." && name != ".." &&
               name.size() <= kMaxName;
      });
  if (!is_good || path.empty() || path.size() > kMaxPath) {
    refuse(where, "a path within a run's folder", path);
  }
  if (is_reserved(path)) {
    refuse(where, "files of a run beside its store", path);
  }
}

// Each once, and none a folder of another.
void require_apart(const std::string& where, const Manifest& manifest) {
  std::set<std::string> paths;
  for (const BackedFile& file : manifest.files) {
    if (!paths.insert(file.path).second) {
      refuse(where, "each path once", file.path);
    }
  }
  for (const BackedFile& file : manifest.files) {
    for (size_t end = file.path.find('/'); end != std::string::npos;
         end = file.path.find('/', end + 1)) {
      if (paths.contains(file.path.substr(0, end))) {
        refuse(where, "no file that is a folder of another", file.path);
      }
    }
  }
}

}  // namespace

bool is_sha256(std::string_view text) {
  constexpr size_t kDigits = 64;
  return text.size() == kDigits &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::string manifest_text(const Manifest& manifest) {
  return dump_json(to_json(manifest)) + "\n";
}

Manifest read_manifest(const std::string& path) {
  const Json json = parse_json(read_file(path), path);
  const std::string own = Manifest().format;
  const std::string format = json_string(json, "format", path);
  if (format != own) {
    throw Error(ErrorKind::kInput,
                str(path, ": expected format \"", own, "\", found \"",
                    shown(format), "\"; use the program that made it"));
  }
  Manifest manifest = from_json<Manifest>(json, path);
  require_size(path, manifest.store.size);
  require_sha256(path, manifest.store.sha256);
  if (!manifest.store.changes.empty()) {
    require_sha256(path, manifest.store.changes);
  }
  for (const BackedFile& file : manifest.files) {
    require_path(path, file.path);
    require_size(path, file.size);
    require_sha256(path, file.sha256);
  }
  require_apart(path, manifest);
  return manifest;
}

}  // namespace selfalign::backup
