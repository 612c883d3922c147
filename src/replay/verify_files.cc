// SPDX-License-Identifier: Apache-2.0
#include "replay/verify_files.h"

#include <filesystem>
#include <set>

#include "base/error.h"
#include "base/sha256.h"
#include "stages/funnel.h"
#include "stages/stage_table.h"

namespace selfalign::replay {
namespace {

namespace fs = std::filesystem;
using store::Problem;

constexpr char kRemove[] = "remove it, or look where it comes from";
constexpr char kRestore[] = "restore it from a copy of the run";
constexpr char kReportAdvice[] =
    "if run.db is right, write it anew with: selfalign report RUN";

// "" for a path that stays in the folder.
std::string outside(const std::string& path) {
  const fs::path plain = fs::path(path).lexically_normal();
  const bool leaves = plain.empty() || plain.is_absolute() ||
                      *plain.begin() == ".." || plain.string() != path;
  return leaves ? "a path out of the folder" : "";
}

// What is at the path that should be a plain file below the run's folder, no
// part of it a link; "" for such a file.
std::string no_plain_file(const fs::path& run, const std::string& path) {
  if (std::string found = outside(path); !found.empty()) return found;
  fs::path part = run;
  std::error_code ignored;
  for (const fs::path& name : fs::path(path)) {
    part /= name;
    const fs::file_status status = fs::symlink_status(part, ignored);
    if (!fs::exists(status)) return "no such file";
    if (fs::is_symlink(status)) return "a link";
  }
  return fs::is_regular_file(fs::symlink_status(part, ignored))
             ? ""
             : "something that is no file";
}

void find_unknown(const fs::path& run, const std::string& folder,
                  const std::map<std::string, std::string>& files,
                  std::vector<Problem>& problems) {
  std::error_code problem;
  for (fs::recursive_directory_iterator at(run / folder, problem), end;
       !problem && at != end; at.increment(problem)) {
    std::error_code ignored;
    const std::string path = at->path().lexically_relative(run).string();
    if (at->symlink_status(ignored).type() == fs::file_type::directory) {
      // Files below a folder stand behind its name in the map.
      const auto below = files.lower_bound(path + "/");
      if (below != files.end() && below->first.starts_with(path + "/")) {
        continue;
      }
      at.disable_recursion_pending();
    } else if (files.contains(path)) {
      continue;
    }
    problems.push_back(
        {at->path().string(), "the files of " + folder + " that run.db names",
         at->is_directory(ignored) ? "another folder" : "another one",
         kRemove});
  }
  if (problem) {
    problems.push_back({(run / folder).string(), "a folder of files",
                        problem.message(), kRestore});
  }
}

}  // namespace

FileCheck check_files(const store::Reader& store) {
  FileCheck check;
  const std::map<std::string, std::string> files = store.files();
  const fs::path run = store.folder();
  std::set<std::string> folders;
  for (const auto& [path, sha256] : files) {
    const bool is_report = path.starts_with("report.");
    std::string found = no_plain_file(run, path);
    if (found.empty()) found = "SHA-256 " + sha256_file(run / path);
    ++check.num_compared;
    if (const size_t end = path.find('/'); end != std::string::npos) {
      folders.insert(path.substr(0, end));
    }
    if (found == "SHA-256 " + sha256) continue;
    const bool is_prompt = path.starts_with("prompts/");
    check.problems.push_back({(run / path).string(),
                              "SHA-256 " + sha256 + ", as run.db says", found,
                              is_report   ? kReportAdvice
                              : is_prompt ? kRestore
                                          : ""});
  }
  // Of a run that is done, those of tunings that it has none of; a tuning that
  // is under way has files that run.db does not know yet.
  for (const stages::Variant& variant : stages::variants()) {
    if (!variant.folder.empty() && stages::run_done(store) &&
        !stages::stage_done(store, variant.adapter_stage)) {
      folders.insert(variant.folder);
    }
  }
  std::error_code ignored;
  for (const std::string& folder : folders) {
    if (!fs::is_directory(run / folder, ignored)) continue;
    find_unknown(run, folder, files, check.problems);
  }
  return check;
}

}  // namespace selfalign::replay
