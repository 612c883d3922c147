// SPDX-License-Identifier: Apache-2.0
#include "eval/items.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <numeric>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/random.h"
#include "text/plain_text.h"
#include "text/words.h"

namespace selfalign::eval {
namespace {

namespace fs = std::filesystem;

bool is_named(const std::string& path, const std::string& name) {
  return path == name || path.ends_with("/" + name);
}

std::vector<std::string> files_named(const std::string& folder,
                                     const std::string& name) {
  std::vector<std::string> found;
  std::error_code problem;
  for (fs::recursive_directory_iterator
           at(folder, fs::directory_options::skip_permission_denied, problem),
       end;
       !problem && at != end; at.increment(problem)) {
    std::error_code ignored;
    const std::string path = at->path().string();
    if (is_named(path, name) && at->is_regular_file(ignored)) {
      found.push_back(path);
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace

std::string find_data(const std::string& folder, const std::string& name) {
  const std::vector<std::string> found = files_named(folder, name);
  if (found.empty()) {
    throw Error(
        ErrorKind::kInput,
        str(folder, ": no file ", name,
            ", as it is published, is in this folder or any below it; name its "
            "folder with --data, or leave its task out with --tasks"));
  }
  for (const std::string& other : found) {
    if (digest_file(other) == digest_file(found[0])) continue;
    throw Error(ErrorKind::kInput,
                str(folder, ": expected one ", name, ", found ", found[0],
                    " and ", other, ", which differ; name the folder of one"));
  }
  return found[0];
}

void require_name(const std::string& where, const std::string& name) {
  constexpr size_t kMaxBytes = 200;  // a file's has an ending, too
  const bool is_plain = std::none_of(
      name.begin(), name.end(),
      [](unsigned char c) { return c < 0x20 || c == 0x7f || c == '/'; });
  const bool is_file_name = !name.empty() && name[0] != '.' && is_plain &&
                            name.size() <= kMaxBytes && !text::find_flaw(name);
  if (is_file_name && name.find(".judge") == std::string::npos) return;
  throw Error(
      ErrorKind::kUsage,
      str(where, ": expected a name that a file can have: UTF-8 of 1 to ",
          kMaxBytes,
          " bytes, without '/' and no dot first, and not '.judge', "
          "by which judgements are named, found '",
          text::fix_utf8(name.substr(0, kMaxBytes)), "'; name it otherwise"));
}

std::string describe_data(const std::vector<std::string>& paths) {
  std::string names;
  Hasher hasher;
  for (const std::string& path : paths) {
    const fs::path file(path);
    // "honest/task.json" says more than "task.json".
    const bool generic = file.stem() == "task" || file.stem() == "question";
    names += (generic ? file.parent_path().filename() / file.filename()
                      : file.filename())
                 .string() +
             " ";
    hasher.add(read_input(path));
  }
  return names + hasher.digest();
}

std::vector<size_t> pick_items(size_t num_items, const TaskOptions& options) {
  std::vector<size_t> numbers(num_items);
  std::iota(numbers.begin(), numbers.end(), size_t{0});
  if (options.limit <= 0 || size_t(options.limit) >= num_items) return numbers;
  const std::vector<uint32_t> sample =
      draw_sample(Hasher().add("evaluation items").add(options.seed).key(),
                  uint32_t(num_items), uint32_t(options.limit));
  numbers.assign(sample.begin(), sample.end());
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

std::string describe_pick(size_t num_items, const TaskOptions& options) {
  const size_t picked = pick_items(num_items, options).size();
  if (picked == num_items) return std::to_string(num_items);
  return str(picked, " of ", num_items, ", seed ", options.seed);
}

uint64_t item_key(const std::string& task, const std::string& version,
                  const std::string& id, std::string_view asked,
                  const std::string& fingerprint) {
  return Hasher()
      .add("evaluation")
      .add(task)
      .add(version)
      .add(id)
      .add(asked)
      .add(fingerprint)
      .key();
}

TaskResult begin_result(const std::string& task, const std::string& version,
                        const Subject& subject, const std::string& data) {
  TaskResult result;
  result.task = task;
  result.version = version;
  result.subject = subject.name;
  result.fingerprint = subject.generator->fingerprint();
  result.data = data;
  return result;
}

std::string percent(double share) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f %%", 100 * share);
  return text;
}

}  // namespace selfalign::eval
