// SPDX-License-Identifier: Apache-2.0
#include "inspect/browse.h"

#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/hash.h"
#include "stages/row_reading.h"
#include "text/find.h"
#include "text/words.h"

namespace selfalign::inspect {
namespace {

using store::Reader;
using store::SeenRow;

// Whether the row's texts stand in an earlier stage already.
bool is_copy(const SeenRow& seen) {
  const std::string& stage = seen.row.stage;
  if (stage.ends_with(".pairs")) return true;
  if (!stage.ends_with(".samples")) return false;
  const auto source = seen.row.content.find("source");
  return source == seen.row.content.end() || *source != "review";
}

class Search {
 public:
  Search(const SearchOptions& options,
         const std::function<void(const SearchHit&)>& found)
      : options_(options),
        finder_(options.text, options.is_regex),
        found_(found) {}

  // False once there are more hits than wanted.
  bool look_at(const SeenRow& seen) {
    const bool everything = !options_.stage.empty();
    if (!everything && is_copy(seen)) return true;
    for (const auto& [name, value] : seen.row.content.items()) {
      if (!value.is_string() || name == "source") continue;
      const bool repeated =
          name == "instruction" && seen.row.stage.ends_with(".answers");
      if (repeated && !everything) continue;
      if (!try_text(seen, name, value.get<std::string>())) return false;
    }
    return !seen.completion || look_at_completion(seen);
  }

 private:
  bool look_at_completion(const SeenRow& seen) {
    const std::string& text = seen.completion->completion.text;
    const std::string& thought = seen.completion->thought;
    const auto hit = finder_.find(text);
    if (!hit) return true;
    const size_t begin =
        thought.empty() ? std::string::npos : text.find(thought);
    const bool in_thought =
        begin != std::string::npos && hit->begin < begin + thought.size();
    return give(seen, in_thought ? "thought" : "raw text", text, *hit);
  }

  bool try_text(const SeenRow& seen, const std::string& field,
                const std::string& text) {
    const auto hit = finder_.find(text);
    return !hit || give(seen, field, text, *hit);
  }

  bool give(const SeenRow& seen, const std::string& field,
            const std::string& text, text::Hit hit) {
    if (num_found_ >= options_.limit) return false;
    ++num_found_;
    found_({seen.row.stage, seen.row.seq, field, text, hit.begin, hit.length});
    return true;
  }

  const SearchOptions& options_;
  const text::Finder finder_;
  const std::function<void(const SearchHit&)>& found_;
  int64_t num_found_ = 0;
};

void require_reason(const Reader& store, const SampleOptions& options,
                    const std::string& filter) {
  std::vector<std::string> known;
  for (const auto& [reason, count] : store.rejections(options.stage, filter)) {
    if (reason == options.reason) return;
    known.push_back(reason);
  }
  std::string all;
  for (const std::string& reason : known) all += " " + reason;
  const std::string near = text::did_you_mean(options.reason, known);
  throw Error(ErrorKind::kUsage,
              str(store.folder(), ": expected a reason for which rows of ",
                  options.stage, " were rejected, found \"", options.reason,
                  "\"", near.empty() ? "; " : near + " ",
                  known.empty() ? "none was rejected" : "there are:" + all));
}

}  // namespace

bool search_run(const Reader& store, const SearchOptions& options,
                const std::function<void(const SearchHit&)>& found) {
  std::vector<std::string> stages = store.stages();
  if (!options.stage.empty()) {
    stages::require_stage(store, options.stage);
    stages = {options.stage};
  }
  Search search(options, found);
  for (const std::string& stage : stages) {
    bool wanted = true;
    store.scan(stage, "", [&](const SeenRow& seen) {
      wanted = search.look_at(seen);
      return wanted;
    });
    if (!wanted) return true;
  }
  return false;
}

Sampled sample_run(const Reader& store, const SampleOptions& options) {
  stages::require_stage(store, options.stage);
  const std::string filter =
      stages::filter_of(store, options.stage, options.profile);
  if (!options.reason.empty()) require_reason(store, options, filter);
  Sampled sampled;
  // Every row draws a number from its key; those with the smallest are taken.
  std::multimap<uint64_t, SeenRow> drawn;
  store.scan(options.stage, filter, [&](const SeenRow& seen) {
    const auto& verdict = seen.verdict;
    if (options.kept && (!verdict || verdict->kept != *options.kept)) {
      return true;
    }
    if (!options.reason.empty() &&
        (!verdict || verdict->kept || verdict->reason != options.reason)) {
      return true;
    }
    ++sampled.num_matching;
    const uint64_t draw =
        Hasher().add("sample").add(options.seed).add(seen.row.key).key();
    if (drawn.size() < options.count || draw < drawn.rbegin()->first) {
      drawn.emplace(draw, seen);
      if (drawn.size() > options.count) drawn.erase(std::prev(drawn.end()));
    }
    return true;
  });
  for (auto& [draw, seen] : drawn) sampled.rows.push_back(std::move(seen));
  std::sort(
      sampled.rows.begin(), sampled.rows.end(),
      [](const SeenRow& a, const SeenRow& b) { return a.row.seq < b.row.seq; });
  return sampled;
}

}  // namespace selfalign::inspect
