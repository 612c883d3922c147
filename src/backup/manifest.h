// SPDX-License-Identifier: Apache-2.0
// What a backup consists of: backup.json, its last part to be written, without
// which there is no backup. docs/formats.md describes it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace selfalign::backup {

// Names in a backup's folder, and in an archive.
inline constexpr char kManifest[] = "backup.json";
inline constexpr char kStore[] = "run.db";
inline constexpr char kFiles[] = "files";       // /SHA-256: contents
inline constexpr char kChanges[] = "changes-";  // SHA-256: blocks of run.db
inline constexpr char kNew[] = "new";           // what is being written

struct BackedFile {
  std::string path;      // in the run's folder
  int64_t size = 0;      // bytes
  int64_t mtime_ns = 0;  // Unix time; 0: too near to the backup to go by
  bool executable = false;
  std::string sha256;

  static void describe(auto& visit, auto& self) {
    visit("path", self.path);
    visit("size", self.size);
    visit("mtime_ns", self.mtime_ns);
    visit("executable", self.executable);
    visit("sha256", self.sha256);
  }
};

struct BackedStore {
  int64_t size = 0;  // bytes
  std::string sha256;
  // Of the file of blocks that belongs on run.db where it is there; "": none.
  std::string changes;

  static void describe(auto& visit, auto& self) {
    visit("size", self.size);
    visit("sha256", self.sha256);
    visit("changes", self.changes);
  }
};

struct Manifest {
  std::string format = "selfalign backup 1";
  std::string run;      // its folder, absolute
  double time_s = 0.0;  // Unix time at which it was begun
  bool done = false;    // the run was
  BackedStore store;
  std::vector<BackedFile> files;  // by path

  static void describe(auto& visit, auto& self) {
    visit("format", self.format);
    visit("run", self.run);
    visit("time_s", self.time_s);
    visit("done", self.done);
    visit("store", self.store);
    visit("files", self.files);
  }
};

std::string manifest_text(const Manifest& manifest);
// Reads the file, which may come from anybody: every path stays in the run's
// folder, stands there once and is in the way of no other and of nothing that
// this program makes there. Error kInput says what is not so.
Manifest read_manifest(const std::string& path);

// Whether the text is 64 lower-case hex digits.
bool is_sha256(std::string_view text);

}  // namespace selfalign::backup
