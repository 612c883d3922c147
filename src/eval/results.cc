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

const Json& list_of(const Json& json, const char* name,
                    const std::string& where) {
  const auto found = json.find(name);
  if (found == json.end() || !found->is_array()) {
    throw Error(ErrorKind::kInput,
                str(where, ": there is no list '", name,
                    "'; move the file away and evaluate again"));
  }
  return *found;
}

SubjectInfo subject_from_json(const Json& json, const std::string& where) {
  return {json_string(json, "name", where), json_string(json, "title", where),
          json_string(json, "model", where),
          json_string_or(json, "adapter", where, ""),
          json_string(json, "fingerprint", where)};
}

std::string pair_of(const Json& comparison, const std::string& where) {
  std::string key;
  for (const char* name : {"task", "judge", "a", "b"}) {
    key += json_string(comparison, name, where) + "\n";
  }
  return key + decoding_of(comparison.value("settings", Json()));
}

std::string asked_of(const Json& usage, const std::string& where) {
  return json_string(usage, "kind", where) + "\n" +
         json_string(usage, "name", where);
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

Json to_json(const Results& results) {
  Json subjects = Json::array();
  for (const SubjectInfo& subject : results.subjects) {
    subjects.push_back({{"name", subject.name},
                        {"title", subject.title},
                        {"model", subject.model},
                        {"adapter", subject.adapter},
                        {"fingerprint", subject.fingerprint}});
  }
  Json list = Json::array();
  for (const TaskResult& result : results.results) {
    list.push_back(to_json(result));
  }
  return Json{{"subjects", subjects},
              {"results", list},
              {"comparisons", results.comparisons},
              {"usage", results.usage}};
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
  Results results;
  const std::string path = folder + kResultsFile;
  if (!std::filesystem::exists(path)) return results;
  const std::string text = read_file(path);
  if (text.empty()) {
    throw Error(ErrorKind::kInput,
                path +
                    ": expected results, found an empty file, as a crash can "
                    "leave it; remove it and evaluate again: what items/ and "
                    "judgements/ hold is not asked again");
  }
  const Json json = parse_json(text, path);
  for (const Json& one : list_of(json, "subjects", path)) {
    results.subjects.push_back(subject_from_json(one, path + ": subjects"));
  }
  for (const Json& one : list_of(json, "results", path)) {
    results.results.push_back(task_result_from_json(one, path + ": results"));
  }
  for (const Json& one : list_of(json, "comparisons", path)) {
    pair_of(one, path + ": comparisons");
    results.comparisons.push_back(one);
  }
  // Older versions have none.
  for (const Json& one : json.value("usage", Json::array())) {
    asked_of(one, path + ": usage");
    results.usage.push_back(one);
  }
  return results;
}

ResultsWriter::ResultsWriter(const std::string& folder)
    : folder_(folder),
      lock_(made(folder) + kLockFile),
      results_(read_results(folder)) {}

void ResultsWriter::merge(const Results& fresh) {
  const std::string path = folder_ + kResultsFile;
  put(results_.subjects, fresh.subjects,
      [](const SubjectInfo& a, const SubjectInfo& b) {
        return a.name == b.name;
      });
  put(results_.results, fresh.results,
      [](const TaskResult& a, const TaskResult& b) {
        return a.task == b.task && a.subject == b.subject &&
               decoding_of(a.settings) == decoding_of(b.settings);
      });
  put(results_.comparisons, fresh.comparisons,
      [&](const Json& a, const Json& b) {
        return pair_of(a, path) == pair_of(b, path);
      });
  put(results_.usage, fresh.usage, [&](const Json& a, const Json& b) {
    return asked_of(a, path) == asked_of(b, path);
  });
  write_json_file(path, to_json(results_));
}

}  // namespace selfalign::eval
