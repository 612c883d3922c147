// SPDX-License-Identifier: Apache-2.0
#include "eval/result_items.h"

#include <filesystem>
#include <set>
#include <unordered_map>

#include "base/error.h"
#include "eval/item_log.h"

namespace selfalign::eval {
namespace {

// A judge's log holds several subjects and tasks; its comparisons of two are
// no scores of one.
bool belongs(const Json& item, const TaskResult& result) {
  if (item.value("subject", Json(result.subject)) != result.subject) {
    return false;
  }
  if (!item.contains("kind")) return true;
  if (item["kind"] == "pair" || item["kind"] == "identical") return false;
  const Json task = item.value("task", Json());
  return task.is_string() &&
         (result.task == task ||
          result.task.starts_with(task.get<std::string>() + ".judge"));
}

// What the judge said of one question's answer, a verdict a line, becomes one
// item: its scores by kind and turn.
void add_judgement(const Json& judgement, Json& item) {
  std::string name = json_string_or(judgement, "kind", "kind", "");
  const int64_t turn = json_int_or(judgement, "turn", "turn", 1);
  if (turn > 1) name += str(" of turn ", turn);
  if (judgement.contains("group")) item["group"] = judgement["group"];
  item["judge"][name] = judgement.value("text", Json());
  const Json verdict = judgement.value("verdict", Json());
  if (verdict.is_number()) item["scores"][name] = verdict;
  if (verdict.is_boolean()) item["scores"][name] = verdict == true ? 1 : 0;
}

// Plain names below the folder, so that results from elsewhere lead nowhere.
bool is_inside(const std::filesystem::path& path) {
  if (path.empty() || path.is_absolute()) return false;
  for (const auto& name : path) {
    if (name == "..") return false;
  }
  return true;
}

}  // namespace

std::vector<Json> read_items(const std::string& folder,
                             const std::string& place,
                             const std::vector<uint64_t>& keys) {
  if (place.empty()) return {};
  if (!is_inside(place)) {
    throw Error(ErrorKind::kInput,
                str(folder,
                    "/results.json: expected items inside of the "
                    "folder, found ",
                    place, "; evaluate again"));
  }
  const std::string path = folder + "/" + place;
  std::error_code ignored;
  const bool is_there = std::filesystem::is_regular_file(path, ignored);
  std::vector<Json> items;
  if (is_there) items = read_items(path, keys);
  const size_t num_keys = std::set<uint64_t>(keys.begin(), keys.end()).size();
  if (is_there && items.size() >= num_keys) return items;
  throw Error(ErrorKind::kDamaged,
              str(path, ": expected the items that figures in ", folder,
                  "/results.json were computed from, found ",
                  is_there ? str(items.size(), " of ", num_keys) : "no file",
                  "; restore it, or run the same command again, which asks "
                  "anew what is missing"));
}

std::vector<Json> read_items(const std::string& folder,
                             const TaskResult& result) {
  std::vector<Json> items;
  std::unordered_map<std::string, size_t> places;
  for (const Json& item : read_items(folder, result.items, result.keys)) {
    if (!belongs(item, result)) continue;
    const std::string id = json_string_or(item, "id", result.items, "");
    if (id.empty()) continue;
    const auto [known, is_new] = places.emplace(id, items.size());
    const bool is_judgement = item.contains("kind");
    if (is_new) {
      items.push_back(is_judgement ? Json{{"id", id}} : item);
    } else if (!is_judgement) {
      items[known->second] = item;
    }
    if (is_judgement) add_judgement(item, items[known->second]);
  }
  return items;
}

}  // namespace selfalign::eval
