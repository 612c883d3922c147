// SPDX-License-Identifier: Apache-2.0
#include "eval/results.h"

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "base/json_file.h"
#include "base/own_file.h"
#include "recipe/run_files.h"

namespace selfalign::eval {
namespace {

constexpr char kResultsFile[] = "/results.json";
constexpr char kLockFile[] = "/results.lock";

// That of a run, which may come from anybody, is no link out of it.
void require_own(const std::string& folder) {
  namespace fs = std::filesystem;
  const fs::path whole = (fs::absolute(folder) / "").lexically_normal();
  const fs::path own = whole.parent_path();
  if (!recipe::is_run_folder(own.parent_path())) return;
  require_own_path(own.parent_path(), own.filename() / (kResultsFile + 1));
}

const std::string& made(const std::string& folder) {
  require_own(folder);
  make_folder(folder);
  return folder;
}

template <typename T, typename Same>
void put(std::vector<T>& all, const std::vector<T>& fresh, const Same& same) {
  for (const T& one : fresh) {
    const auto found = std::find_if(
        all.begin(), all.end(), [&](const T& old) { return same(old, one); });
    if (found == all.end()) {
      all.push_back(one);
    } else {
      *found = one;
    }
  }
}

}  // namespace

bool is_same(const Comparison& one, const Comparison& other) {
  return one.task == other.task && one.judge == other.judge &&
         one.a == other.a && one.b == other.b &&
         decoding_of(one.settings) == decoding_of(other.settings);
}

std::vector<std::string> decodings_of(const Results& results,
                                      const std::string& task) {
  std::vector<std::string> all;
  for (const TaskResult& result : results.results) {
    if (result.task != task) continue;
    const std::string decoding = decoding_of(result.settings);
    if (decoding.empty()) continue;
    if (std::find(all.begin(), all.end(), decoding) == all.end()) {
      all.push_back(decoding);
    }
  }
  if (all.empty()) all.emplace_back();
  return all;
}

Results under_decoding(Results results, const std::string& decoding) {
  std::erase_if(results.results, [&](const TaskResult& result) {
    const std::string its = decoding_of(result.settings);
    return !its.empty() && its != decoding;
  });
  return results;
}

Results read_results(const std::string& folder) {
  require_own(folder);
  const std::string path = folder + kResultsFile;
  if (!std::filesystem::exists(path)) return {};
  const std::string text = read_file(path);
  if (text.empty()) {
    throw Error(ErrorKind::kInput,
                path +
                    ": expected results, found an empty file, as a crash can "
                    "leave it; remove it and evaluate again: what items/ and "
                    "judgements/ hold is not asked again");
  }
  return from_json<Results>(parse_json(text, path), path);
}

ResultsWriter::ResultsWriter(const std::string& folder)
    : folder_(folder),
      lock_(made(folder) + kLockFile),
      results_(read_results(folder)) {}

void ResultsWriter::merge(const Results& fresh) {
  put(results_.subjects, fresh.subjects,
      [](const SubjectInfo& a, const SubjectInfo& b) {
        return a.name == b.name;
      });
  put(results_.results, fresh.results,
      [](const TaskResult& a, const TaskResult& b) {
        return a.task == b.task && a.subject == b.subject &&
               decoding_of(a.settings) == decoding_of(b.settings);
      });
  put(results_.comparisons, fresh.comparisons, is_same);
  put(results_.usage, fresh.usage,
      [](const SubjectUsage& a, const SubjectUsage& b) {
        return a.kind == b.kind && a.name == b.name;
      });
  write_json_file(folder_ + kResultsFile, to_json(results_));
}

}  // namespace selfalign::eval
