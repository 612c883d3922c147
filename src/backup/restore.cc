// SPDX-License-Identifier: Apache-2.0
#include "backup/restore.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <set>

#include "backup/changes.h"
#include "backup/copying.h"
#include "backup/manifest.h"
#include "backup/source_file.h"
#include "backup/tar.h"
#include "base/counted.h"
#include "base/error.h"
#include "base/file.h"
#include "base/own_file.h"
#include "base/shown.h"
#include "store/checks.h"

namespace selfalign::backup {
namespace {

namespace fs = std::filesystem;

// A backup's folder, held so that nobody writes to it; a folder that nobody can
// write has no need of it.
class Held {
 public:
  explicit Held(const std::string& folder) {
    const std::string path = folder + "/lock";
    fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd_ < 0 || ::flock(fd_, LOCK_SH | LOCK_NB) == 0) return;
    ::close(fd_);
    throw Error(ErrorKind::kFailed,
                folder +
                    ": a backup is being written here; wait until it has "
                    "ended, or end it");
  }
  ~Held() {
    if (fd_ >= 0) ::close(fd_);
  }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;

 private:
  int fd_ = -1;
};

[[noreturn]] void refuse_part(const std::string& path,
                              const std::string& expected,
                              const std::string& found) {
  throw Error(ErrorKind::kDamaged,
              str(path, ": expected ", expected, ", found ", found,
                  "; this backup is damaged: use another one"));
}

// Name of an entry as tar of a backup's folder writes it, too.
std::string plain_name(std::string name) {
  if (name.starts_with("./")) name.erase(0, 2);
  return name;
}

bool is_part(const std::string& name) {
  const auto is_named_by = [&](const std::string& begin) {
    return name.starts_with(begin) && is_sha256(name.substr(begin.size()));
  };
  return name == kManifest || name == kStore || is_named_by(kChanges) ||
         is_named_by(std::string(kFiles) + "/");
}

// Makes the backup's folder of an archive. What is in it is not checked yet.
void unpack(const std::string& archive, const std::string& folder) {
  make_folder(folder + "/" + kFiles);
  TarReader tar(archive);
  while (const auto entry = tar.next()) {
    const std::string name = plain_name(entry->name);
    const bool is_folder = entry->kind == "a folder";
    if (is_folder && (name.empty() || name == "files/")) continue;
    if (entry->is_file && name == "lock") continue;
    if (!entry->is_file || !is_part(name)) {
      throw Error(ErrorKind::kInput,
                  str(archive, ": expected the files of a backup, found ",
                      entry->is_file ? "a file" : entry->kind, " ",
                      shown(entry->name, 200),
                      "; this is no backup that selfalign made: look where "
                      "it comes from"));
    }
    OwnFile out(str(folder, "/", name), 0);
    tar.read([&out](std::string_view piece) { out.append(piece); });
    out.sync();
  }
}

class Restoring {
 public:
  // `own`: the parts are this object's and may be moved.
  Restoring(std::string backup, std::string run, bool own)
      : backup_(std::move(backup)), run_(std::move(run)), own_(own) {}

  // Makes the run's folder, of which the place is free, and checks it.
  Manifest make() {
    const std::string path = backup_ + "/" + kManifest;
    require_plain_file(path);
    if (!is_file(path)) {
      throw Error(ErrorKind::kInput,
                  backup_ +
                      ": this is no backup, or one that was never finished, "
                      "for it has no backup.json; use another one");
    }
    Manifest manifest = read_manifest(path);
    require_room(manifest);
    make_private_folder(run_);
    folders_.insert(run_);
    for (const BackedFile& file : manifest.files) {
      ++uses_[file.sha256];
    }
    for (const BackedFile& file : manifest.files) make_file_of(file);
    make_store(manifest);
    check_run();
    for (const std::string& folder : folders_) sync_folder(folder);
    return manifest;
  }

 private:
  void require_room(const Manifest& manifest) const {
    std::error_code problem;
    const auto room = fs::space(fs::path(run_).parent_path(), problem);
    if (problem || own_) return;  // what was unpacked has its room
    auto left =
        static_cast<int64_t>(std::min<uintmax_t>(room.available, INT64_MAX));
    int64_t needed = manifest.store.size;
    bool fits = needed <= left;
    for (const BackedFile& file : manifest.files) {
      fits = fits && file.size <= left - needed;
      if (fits) needed += file.size;
    }
    if (fits) return;
    throw Error(ErrorKind::kResources,
                str(backup_, ": the disk of ", run_, " has room for ", left,
                    " bytes, less than this backup needs; free some space, "
                    "or restore to another disk"));
  }

  // Opens a part of that size.
  SourceFile open_part(const std::string& name, int64_t size) const {
    require_own_path(backup_, name);
    const std::string path = backup_ + "/" + name;
    auto source = SourceFile::open(path);
    if (!source) refuse_part(path, "a file", "none");
    if (size >= 0 && source->size() != size) {
      refuse_part(path, counted(size, "byte"), str(source->size()));
    }
    return std::move(*source);
  }

  void make_file_of(const BackedFile& file) {
    const std::string name = std::string(kFiles) + "/" + file.sha256;
    const SourceFile source = open_part(name, file.size);
    const fs::path path = fs::path(run_) / file.path;
    make_folder(path.parent_path());
    for (fs::path at = path.parent_path(); at != run_; at = at.parent_path()) {
      folders_.insert(at);
    }
    const bool is_last = --uses_[file.sha256] == 0;
    const bool moves = own_ && is_last;
    const bool is_right = moves ? source.read() == file.sha256
                                : copy_file(source, file.sha256, path);
    if (!is_right) {
      refuse_part(source.path(), "the content with that SHA-256", "another");
    }
    if (moves) rename_file(source.path(), path);
    if (file.executable) ::chmod(path.c_str(), 0700);
  }

  void make_store(const Manifest& manifest) const {
    const std::string path = run_ + "/" + kStore;
    const SourceFile base = open_part(kStore, -1);
    const std::string changes = kChanges + manifest.store.changes;
    const std::string whole = backup_ + "/" + changes;
    if (own_) {
      rename_file(base.path(), path);
    } else if (!copy_file(base, base.read(), path)) {
      refuse_part(base.path(), "a file that nobody writes to", "another");
    }
    if (struct stat info;
        !manifest.store.changes.empty() && ::lstat(whole.c_str(), &info) == 0) {
      // No block is at a place that neither of the two reaches.
      if (manifest.store.size > base.size() + info.st_size) {
        refuse_part(whole, counted(manifest.store.size, "byte"), "fewer");
      }
      apply_changes(whole, manifest.store.changes, path, manifest.store.size);
    }
    const auto made = SourceFile::open(path);
    SELFALIGN_CHECK(made);
    const std::string found = made->read();
    if (found != manifest.store.sha256) {
      refuse_part(base.path(), "SHA-256 " + manifest.store.sha256, found);
    }
  }

  // Leaves no log of a reader's, which is empty, beside the store.
  void check_run() const {
    check_store();
    for (const char* ending : {"-wal", "-shm"}) {
      ::unlink((run_ + "/" + kStore + ending).c_str());
    }
  }

  void check_store() const {
    const auto store = store::Reader::open(run_);
    const auto problems = store::find_problems(*store);
    if (!problems.empty()) {
      const store::Problem& first = problems[0];
      throw Error(
          ErrorKind::kDamaged,
          str(backup_, ": expected the backup of a sound run, found ",
              counted(static_cast<int64_t>(problems.size()), "problem"),
              ", the first at ", first.where, ": expected ", first.expected,
              ", found ", first.found, "; use another backup"));
    }
    try {
      store::require_files(*store);
    } catch (const Error& error) {
      throw Error(error.kind(),
                  str(backup_, ": expected the files that run.db names: ",
                      error.what(), "; use another backup"));
    }
  }

  const std::string backup_;
  const std::string run_;
  const bool own_;
  std::set<std::string> folders_;        // that were made
  std::map<std::string, int64_t> uses_;  // of contents that are still to come
};

}  // namespace

RestoreReport restore(const std::string& backup, const std::string& run) {
  using Clock = std::chrono::steady_clock;
  const auto begin = Clock::now();
  std::error_code ignored;
  if (fs::exists(fs::symlink_status(run, ignored))) {
    throw Error(ErrorKind::kUsage,
                run +
                    ": expected nothing there, found something; name a new "
                    "folder, or move that one away");
  }
  const std::string parent = fs::path(run).parent_path();
  make_folder(parent);
  const ScratchFolder scratch(parent);
  const std::string made = scratch.path() + "/run";
  Manifest manifest;
  if (fs::is_directory(backup, ignored)) {
    const Held held(backup);
    manifest = Restoring(backup, made, false).make();
  } else {
    const std::string unpacked = scratch.path() + "/backup";
    unpack(backup, unpacked);
    manifest = Restoring(unpacked, made, true).make();
  }
  rename_file(made, run);
  sync_folder(parent);
  RestoreReport report;
  report.run = run;
  report.of = manifest.run;
  report.time_s = manifest.time_s;
  report.done = manifest.done;
  report.num_files = static_cast<int64_t>(manifest.files.size());
  report.num_bytes = manifest.store.size;
  for (const BackedFile& file : manifest.files) report.num_bytes += file.size;
  report.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  return report;
}

std::string report_text(const RestoreReport& report) {
  constexpr double kMega = 1e6;
  return str(
      report.run, ": restored ", counted(report.num_files, "file"),
      " and run.db, ",
      rounded(static_cast<double>(report.num_bytes) / kMega, 1), " MB, in ",
      rounded(report.seconds, 1), " s; every SHA-256 and the store are right\n",
      report.done ? "the run is done\n"
                  : str("go on with: selfalign resume ", report.run, "\n"));
}

}  // namespace selfalign::backup
