// SPDX-License-Identifier: Apache-2.0
#include "backup/backup.h"

#include <CLI/CLI.hpp>
#include <chrono>
#include <filesystem>
#include <memory>
#include <thread>

#include "backup/archive_target.h"
#include "backup/folder_target.h"
#include "backup/restore.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/record.h"
#include "cli/commands.h"
#include "cli/lines.h"
#include "cli/options.h"
#include "store/reader.h"

namespace selfalign::cli {
namespace {

namespace fs = std::filesystem;

constexpr char kBackupFooter[] =
    R"(So that a run outlives its machine, also while it is at work:
  selfalign backup runs/a /mnt/other/a
  selfalign backup runs/a /mnt/other/a --every 600
  selfalign backup runs/a --command 'ssh host "cat > a.tar"'
  selfalign backup runs/a --command 'aws s3 cp - s3://bucket/a.tar'
On another machine:
  selfalign restore /mnt/other/a runs/a      (or a.tar)
  selfalign resume runs/a

A folder is brought up to date: contents that are there are not written again,
and of run.db only the blocks that changed. A command gets all of it as one
archive (tar); it runs without a terminal, so ssh needs a key that asks nothing.
Killed at any moment, the last backup or the new one is whole; of a command's
archive that was cut short restore says so, so write each to a name of its own.

Not in it: base model, data sets and keys that the recipe names by path. The
backup has what the run has, so keep it as private.)";

constexpr char kRestoreFooter[] = R"(On the machine where the run is to go on:
  selfalign restore /mnt/other/a runs/a
  selfalign restore a.tar runs/a
  selfalign resume runs/a
Every file is compared with its SHA-256 and the store is checked before the run
has its name; `selfalign verify RUN` checks the rest. Where the base model lies
at another path, correct model.path in RUN/recipe.resolved.yaml.)";

struct BackupFlags {
  std::string run, folder, command;
  int64_t every_s = 0;
};

std::string absolute(const std::string& path) {
  std::string whole = fs::absolute(path).lexically_normal();
  while (whole.size() > 1 && whole.ends_with('/')) whole.pop_back();
  return whole;
}

// One into the other would be a copy of itself.
void require_apart(const std::string& run, const std::string& folder) {
  std::error_code ignored;
  const auto real = [&](const std::string& path) {
    return fs::weakly_canonical(path, ignored).string() + "/";
  };
  const std::string a = real(run), b = real(folder);
  if (!a.starts_with(b) && !b.starts_with(a)) return;
  throw Error(ErrorKind::kUsage,
              str(folder, ": expected a folder apart from the run's, ", run,
                  "; name another one"));
}

// True if the run is done.
bool back_up_once(const BackupFlags& flags, const Shell& shell) {
  const std::string run = absolute(flags.run);
  store::Reader::open(run);  // before a place is made for it
  std::unique_ptr<backup::Target> target;
  if (flags.folder.empty()) {
    target = std::make_unique<backup::ArchiveTarget>(flags.command);
  } else {
    const std::string folder = absolute(flags.folder);
    require_apart(run, folder);
    target = std::make_unique<backup::FolderTarget>(folder, run);
  }
  const backup::BackupReport report = backup::back_up(run, *target);
  for (const std::string& path : report.left_out) {
    log_warning(
        str(run, "/", path, ": left out, for it is no plain file or at work"));
  }
  write_result(shell.json, to_json(report), report_text(report));
  return report.done;
}

void wait(int64_t seconds) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::seconds(seconds);
  while (Clock::now() < end) {
    stop_if_interrupted("the last backup is whole");
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

// What may be over by the next time: a full disk, a network, a command.
bool may_pass(const Error& error) {
  return error.kind() == ErrorKind::kFailed ||
         error.kind() == ErrorKind::kResources;
}

void back_up(const BackupFlags& flags, const Shell& shell) {
  for (;;) {
    try {
      if (back_up_once(flags, shell) || flags.every_s == 0) return;
    } catch (const Error& error) {
      if (flags.every_s == 0 || !may_pass(error)) throw;
      log_warning(str(error.what(), " (tried again in ", flags.every_s, " s)"));
    }
    wait(flags.every_s);
  }
}

}  // namespace

void add_backup(CLI::App& app, Shell& shell) {
  CLI::App* command = app.add_subcommand(
      "backup", "Copy a run, also while it is at work, to go on elsewhere");
  auto flags = std::make_shared<BackupFlags>();
  command->add_option("run", flags->run, "run folder")->required();
  CLI::Option* folder =
      command->add_option("folder", flags->folder,
                          "where the backup is kept and brought up to date");
  CLI::Option* line = command->add_option(
      "--command", flags->command,
      "command line that takes the backup as an archive from its stdin");
  line->excludes(folder);
  command
      ->add_option("--every", flags->every_s,
                   "again after so many seconds, until the run is done")
      ->check(in_range(Range<int64_t>{1, 1000000}));
  command->footer(kBackupFooter);
  set_action(*command, shell, [flags, &shell] {
    if (flags->folder.empty() && flags->command.empty()) {
      throw Error(ErrorKind::kUsage,
                  "expected a folder or --command LINE to back up to, found "
                  "neither; see selfalign help backup");
    }
    back_up(*flags, shell);
  });
}

void add_restore(CLI::App& app, Shell& shell) {
  CLI::App* command = app.add_subcommand(
      "restore", "Make a run of its backup and check all of it");
  auto from = std::make_shared<std::string>();
  auto run = std::make_shared<std::string>();
  command->add_option("backup", *from, "folder or archive of a backup")
      ->required();
  command->add_option("run", *run, "folder of the run, not there yet")
      ->required();
  command->footer(kRestoreFooter);
  set_action(*command, shell, [from, run, &shell] {
    const backup::RestoreReport report =
        backup::restore(absolute(*from), absolute(*run));
    write_result(shell.json, to_json(report), report_text(report));
  });
}

}  // namespace selfalign::cli
