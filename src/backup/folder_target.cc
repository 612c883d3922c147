// SPDX-License-Identifier: Apache-2.0
#include "backup/folder_target.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "backup/changes.h"
#include "backup/copying.h"
#include "base/error.h"
#include "base/file.h"
#include "base/folder.h"
#include "base/log.h"
#include "base/own_file.h"
#include "base/sha256.h"

namespace selfalign::backup {
namespace {

namespace fs = std::filesystem;

constexpr char kLock[] = "lock";

// A copy of a store that nobody makes any more: the folder's lock is held.
bool is_stale_copy(const fs::path& path) {
  std::error_code ignored;
  if (!path.filename().string().starts_with("selfalign-") ||
      !fs::is_directory(fs::symlink_status(path, ignored))) {
    return false;
  }
  const std::vector<std::string> inside = list_folder(path);
  return std::all_of(inside.begin(), inside.end(), [](const fs::path& file) {
    return file.filename().string().starts_with(kStore);
  });
}

bool is_changes(const std::string& name) {
  const std::string prefix = kChanges;
  return name.starts_with(prefix) && is_sha256(name.substr(prefix.size()));
}

// A folder of contents, or none yet.
bool is_files(const fs::path& path) {
  std::error_code ignored;
  if (!fs::is_directory(fs::symlink_status(path, ignored))) return false;
  const std::vector<std::string> inside = list_folder(path);
  return std::all_of(inside.begin(), inside.end(), [](const fs::path& file) {
    return is_sha256(file.filename().string());
  });
}

}  // namespace

FolderTarget::FolderTarget(std::string folder, const std::string& run)
    : folder_(std::move(folder)) {
  make_private_folder(folder_);
  if (!is_made_here()) {
    throw Error(ErrorKind::kUsage,
                str(folder_,
                    ": expected a backup or an empty folder, found "
                    "other files; name a new folder"));
  }
  lock_ = std::make_unique<store::WriterLock>(path(kLock));
  make_folder_in(folder_, kFiles);
  remove_stale_temporaries(folder_);
  for (const fs::path other : list_folder(folder_)) {
    if (is_stale_copy(other)) fs::remove_all(other);
  }
  take_up(run);
}

// Names that others use, too, are a backup's beside its lock, the first that
// one makes, or its manifest, which is read before anything is written.
bool FolderTarget::is_made_here() const {
  const std::vector<std::string> paths = list_folder(folder_);
  const bool is_begun = is_file(path(kLock)) || is_file(path(kManifest));
  return std::all_of(paths.begin(), paths.end(), [&](const fs::path& path) {
    const std::string name = path.filename().string();
    if (name == kFiles) return is_files(path);
    if (is_changes(name) || is_stale_copy(path)) return true;
    return is_begun &&
           (name == kManifest || name == kStore || name == kLock ||
            name == kNew || name.starts_with(std::string(kManifest) + "."));
  });
}

void FolderTarget::take_up(const std::string& run) {
  const std::string manifest = path(kManifest);
  require_plain_file(manifest);
  if (std::error_code ignored; fs::exists(manifest, ignored)) {
    last_ = read_manifest(manifest);
    if (last_->run != run) {
      throw Error(ErrorKind::kUsage, str(folder_, ": expected the backup of ",
                                         run, ", found that of ", last_->run,
                                         "; name another folder for this run"));
    }
    finish(*last_);
  }
  clear(last_ ? &*last_ : nullptr);
  if (!last_) return;
  for (const BackedFile& file : last_->files) {
    if (is_whole(file)) held_.insert(file.sha256);
  }
}

bool FolderTarget::is_there(const std::string& sha256, int64_t size) const {
  struct stat info {};
  return ::lstat(content(sha256).c_str(), &info) == 0 &&
         S_ISREG(info.st_mode) && info.st_size == size;
}

bool FolderTarget::is_whole(const BackedFile& file) const {
  if (!is_there(file.sha256, file.size)) return false;
  const std::string path = content(file.sha256);
  if (sha256_file(path) == file.sha256) return true;
  log_warning(str(path,
                  ": it is not what was written there, so the disk may be "
                  "failing; it is kept anew"));
  return false;
}

const BackedFile* FolderTarget::last(const std::string& path) const {
  if (!last_) return nullptr;
  const auto& files = last_->files;
  const auto found =
      std::lower_bound(files.begin(), files.end(), path,
                       [](const BackedFile& file, const std::string& its) {
                         return file.path < its;
                       });
  return found != files.end() && found->path == path ? &*found : nullptr;
}

bool FolderTarget::holds(const std::string& sha256, int64_t size) const {
  return held_.contains(sha256) && is_there(sha256, size);
}

bool FolderTarget::add(const SourceFile& source, const std::string& sha256) {
  const std::string part = path(kNew);
  if (!copy_file(source, sha256, part)) return false;
  rename_file(part, content(sha256));
  held_.insert(sha256);
  ++written_.num_files;
  written_.num_bytes += source.size();
  return true;
}

void FolderTarget::commit(Manifest& manifest, const std::string& store) {
  write_store(manifest, store);
  sync_folder(path(kFiles));
  sync_folder(folder_);
  const std::string text = manifest_text(manifest);
  write_file_atomic(path(kManifest), text);
  written_.num_bytes += static_cast<int64_t>(text.size());
  last_ = manifest;
  finish(manifest);
  clear(&manifest);
}

void FolderTarget::write_store(Manifest& manifest, const std::string& store) {
  const auto source = SourceFile::open(store);
  SELFALIGN_CHECK(source);
  manifest.store = {source->size(), source->read(), ""};
  const std::string part = path(kNew);
  require_plain_file(path(kStore));
  if (!last_ || !is_file(path(kStore))) {
    SELFALIGN_CHECK(copy_file(*source, manifest.store.sha256, part));
    rename_file(part, path(kStore));
    written_.num_blocks += num_blocks_of(source->size());
    written_.num_bytes += source->size();
    return;
  }
  const Changes changes = write_changes(path(kStore), store, part);
  manifest.store.changes = changes.sha256;
  rename_file(part, path(kChanges + changes.sha256));
  written_.num_blocks += changes.num_blocks;
  written_.num_bytes += changes.num_bytes;
}

void FolderTarget::finish(const Manifest& manifest) {
  if (manifest.store.changes.empty()) return;
  const std::string changes = path(kChanges + manifest.store.changes);
  if (std::error_code ignored; !fs::exists(changes, ignored)) return;
  apply_changes(changes, manifest.store.changes, path(kStore),
                manifest.store.size);
}

void FolderTarget::clear(const Manifest* manifest) const {
  std::set<std::string> named;
  if (manifest != nullptr) {
    for (const BackedFile& file : manifest->files) named.insert(file.sha256);
  }
  for (const fs::path content : list_folder(path(kFiles))) {
    const std::string name = content.filename();
    if (is_sha256(name) && !named.contains(name)) ::unlink(content.c_str());
  }
  for (const fs::path other : list_folder(folder_)) {
    const std::string name = other.filename();
    if (name == kNew || is_changes(name)) ::unlink(other.c_str());
  }
}

}  // namespace selfalign::backup
