// SPDX-License-Identifier: Apache-2.0
#include "backup/backup.h"

#include <chrono>
#include <filesystem>
#include <memory>
#include <thread>

#include "backup/changes.h"
#include "backup/run_files.h"
#include "base/counted.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/shown.h"
#include "base/unix_time.h"
#include "store/copy.h"
#include "store/reader.h"

namespace selfalign::backup {
namespace {

// It is written first and told to the store then, also of a run that is done.
bool is_report(const std::string& path) { return path.starts_with("report."); }

// Path of a file that is not what the store says, of a report if no other is;
// "" where all are.
std::string find_other(const store::Reader& store, const RunFiles& files) {
  std::string report;
  for (const auto& [path, sha256] : store.files()) {
    if (files.sha256(path) == sha256) continue;
    if (!is_report(path)) return path;
    report = path;
  }
  return report;
}

[[noreturn]] void fail_file(const store::Reader& store, const RunFiles& files,
                            const std::string& run, const std::string& path) {
  const std::string found = files.sha256(path);
  throw Error(ErrorKind::kDamaged,
              str(run, "/", shown(path, 200), ": expected SHA-256 ",
                  store.files()[path], ", as run.db says, found ",
                  found.empty() ? "no such file" : found,
                  "; the last backup stays as it is: restore the file from "
                  "it, or see what else is changed with: selfalign verify ",
                  run));
}

// Whether the run, meanwhile, is at another stage or has other files.
bool has_moved_on(const store::Reader& run, const store::Reader& copy) {
  return run.run_digest() != copy.run_digest() || run.files() != copy.files();
}

Manifest manifest_of(const std::string& run, const store::Reader& store,
                     const RunFiles& files, double time_s) {
  Manifest manifest;
  manifest.run = run;
  manifest.time_s = time_s;
  manifest.done = store.meta(store::kDone).has_value();
  manifest.files = files.files();
  return manifest;
}

BackupReport report_of(const Manifest& manifest, const RunFiles& files,
                       const Written& written) {
  BackupReport report;
  report.run = manifest.run;
  report.done = manifest.done;
  report.num_files = static_cast<int64_t>(manifest.files.size());
  report.num_files_written = written.num_files;
  report.num_blocks = num_blocks_of(manifest.store.size);
  report.num_blocks_written = written.num_blocks;
  report.num_bytes = manifest.store.size;
  for (const BackedFile& file : manifest.files) report.num_bytes += file.size;
  report.num_bytes_written = written.num_bytes;
  report.left_out.assign(files.left_out().begin(), files.left_out().end());
  return report;
}

}  // namespace

BackupReport back_up(const std::string& run, Target& target) {
  using Clock = std::chrono::steady_clock;
  const auto begin = Clock::now();
  const double time_s = unix_time();
  const auto store = store::Reader::open(run);
  RunFiles files(run, target);
  constexpr int kTries = 20;
  constexpr int kReportTries = 5;
  for (int i = 1;; ++i) {
    const ScratchFolder scratch(target.scratch_parent());
    store::copy_store(*store, scratch.path());
    const auto copy = store::Reader::open(scratch.path());
    files.update();
    if (has_moved_on(*store, *copy)) {
      if (i < kTries) continue;
      throw Error(ErrorKind::kFailed,
                  str(run,
                      ": its stages end faster than it can be copied; "
                      "run the same command again"));
    }
    const std::string other = find_other(*copy, files);
    if (!other.empty() && !is_report(other)) {
      fail_file(*copy, files, run, other);
    }
    if (!other.empty() && i < kReportTries) {
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
      continue;
    }
    if (!other.empty()) {
      log_warning(str(run, "/", other,
                      ": this is not the report that run.db knows; write it "
                      "anew with: selfalign report ",
                      run));
    }
    Manifest manifest = manifest_of(run, *copy, files, time_s);
    target.commit(manifest, scratch.path() + "/" + kStore);
    BackupReport report = report_of(manifest, files, target.written());
    report.seconds =
        std::chrono::duration<double>(Clock::now() - begin).count();
    return report;
  }
}

std::string report_text(const BackupReport& report) {
  constexpr double kMega = 1e6;
  const auto mega = [](int64_t bytes) {
    return rounded(static_cast<double>(bytes) / kMega, 1);
  };
  return str(report.run, ": backed up: ", report.num_files_written, " of ",
             counted(report.num_files, "file"), " and ",
             report.num_blocks_written, " of ",
             counted(report.num_blocks, "block"), " of run.db written, ",
             mega(report.num_bytes_written), " of ", mega(report.num_bytes),
             " MB, in ", rounded(report.seconds, 1), " s",
             report.done ? "; the run is done" : "", "\n");
}

}  // namespace selfalign::backup
