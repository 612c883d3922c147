// SPDX-License-Identifier: Apache-2.0
#include "backup/run_files.h"

#include <sys/stat.h>

#include <chrono>
#include <filesystem>

#include "base/error.h"
#include "base/folder.h"
#include "base/json.h"
#include "store/writer_lock.h"

namespace selfalign::backup {
namespace {

namespace fs = std::filesystem;

// The store is copied by itself; locks and what is being written are made anew.
bool is_left_behind(const std::string& path) {
  const std::string name = fs::path(path).filename();
  return (path.starts_with("run.db") && path.find('/') == std::string::npos) ||
         name == "lock" || name.ends_with(".lock") || name == "run.db-shm" ||
         name.find(".tmp-") != std::string::npos;
}

bool is_utf8(const std::string& path) {
  return parse_json(dump_json(path), "a path").get<std::string>() == path;
}

// So long after a file was written, a further change has another time.
constexpr std::chrono::seconds kSettled(2);

int64_t time_to_go_by(int64_t mtime_ns) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::nanoseconds(mtime_ns) + kSettled < now ? mtime_ns : 0;
}

}  // namespace

void RunFiles::update() {
  constexpr int kPasses = 10;
  for (int i = 0; i < kPasses; ++i) {
    if (!pass()) return;
  }
  throw Error(ErrorKind::kFailed,
              str(run_,
                  ": its files change faster than they can be copied; "
                  "back it up to a faster place, or later"));
}

// True where a file came, went or was put in another's place.
bool RunFiles::pass() {
  std::set<std::string> paths;
  list("", paths);
  bool changed = false;
  for (const std::string& path : paths) changed = take(path) || changed;
  const size_t gone = std::erase_if(
      seen_, [&](const auto& seen) { return !paths.contains(seen.first); });
  return changed || gone > 0;
}

void RunFiles::list(const std::string& folder, std::set<std::string>& paths) {
  const std::string whole = folder.empty() ? run_ : run_ + "/" + folder;
  // An ablation's folder has a store of its own, copied as a file while nobody
  // writes to it.
  if (!folder.empty() && store::lock_holder(whole + "/run.lock")) {
    left_out_.insert(folder);
    return;
  }
  std::vector<std::string> entries;
  try {
    entries = list_folder(whole);
  } catch (const Error&) {
    std::error_code ignored;
    if (fs::exists(whole, ignored)) throw;
    return;  // it went away since its name was read
  }
  for (const fs::path entry : entries) {
    const std::string name = entry.filename();
    const std::string path = folder.empty() ? name : str(folder, "/", name);
    struct stat info {};
    if (is_left_behind(path) || ::lstat(entry.c_str(), &info) != 0) continue;
    if (S_ISDIR(info.st_mode)) {
      list(path, paths);
    } else if (S_ISREG(info.st_mode) && is_utf8(path)) {
      paths.insert(path);
    } else {
      left_out_.insert(path);
    }
  }
}

bool RunFiles::take(const std::string& path) {
  const auto source = SourceFile::open(run_ + "/" + path);
  const auto known = seen_.find(path);
  const bool is_known = known != seen_.end();
  if (!source) {  // it went away since it was listed
    seen_.erase(path);
    return true;
  }
  const bool is_same_file = is_known && known->second.inode == source->inode();
  if (is_same_file && known->second.mtime_ns == source->mtime_ns() &&
      known->second.file.size == source->size()) {
    return false;
  }
  const bool has_grown =
      is_same_file && source->size() > known->second.file.size;
  Seen seen;
  seen.file.path = path;
  seen.file.size = source->size();
  seen.file.mtime_ns = time_to_go_by(source->mtime_ns());
  seen.file.executable = source->executable();
  seen.mtime_ns = source->mtime_ns();
  seen.inode = source->inode();
  keep(*source, seen);
  seen_[path] = seen;
  return !has_grown;
}

void RunFiles::keep(const SourceFile& source, Seen& seen) {
  const BackedFile* last = target_.last(seen.file.path);
  if (last != nullptr && last->mtime_ns == source.mtime_ns() &&
      last->size == source.size() && target_.holds(last->sha256, last->size)) {
    seen.file.sha256 = last->sha256;
    return;
  }
  constexpr int kTries = 3;
  for (int i = 0; i < kTries; ++i) {
    seen.file.sha256 = source.read();
    if (target_.holds(seen.file.sha256, source.size()) ||
        target_.add(source, seen.file.sha256)) {
      return;
    }
  }
  throw Error(ErrorKind::kFailed,
              str(source.path(),
                  ": it is written to faster than it can be "
                  "copied; run the same command later"));
}

std::vector<BackedFile> RunFiles::files() const {
  std::vector<BackedFile> files;
  files.reserve(seen_.size());
  for (const auto& [path, seen] : seen_) files.push_back(seen.file);
  return files;
}

std::string RunFiles::sha256(const std::string& path) const {
  const auto found = seen_.find(path);
  return found == seen_.end() ? "" : found->second.file.sha256;
}

}  // namespace selfalign::backup
