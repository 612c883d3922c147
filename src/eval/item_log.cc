// SPDX-License-Identifier: Apache-2.0
#include "eval/item_log.h"

#include <filesystem>
#include <functional>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json_parse.h"

namespace selfalign::eval {
namespace {

// The key and the item of a line.
std::pair<uint64_t, Json> read_line(const std::string& line,
                                    const std::string& where) {
  const auto refuse = [&where](const std::string& found) {
    throw Error(ErrorKind::kDamaged,
                str(where, ": expected an item with its key, found ", found,
                    "; remove that line and go on"));
  };
  JsonProblem problem;
  const std::optional<Json> read = try_parse_json(line, problem);
  if (!read) refuse(str(problem.found, " at column ", problem.column));
  try {
    const Json& item = read->at("item");
    if (item.is_object()) {
      return {key_from_hex(read->at("key").get<std::string>()), item};
    }
  } catch (const std::exception&) {
    // Said below, whatever of it is missing.
  }
  refuse("no 'key' of 16 hex digits beside an object 'item'");
  return {};
}

// Calls `found` for each whole line of a log; the length of all of them.
size_t each_line(const std::string& path,
                 const std::function<void(uint64_t key, Json item)>& found) {
  require_plain_folder(std::filesystem::path(path).parent_path());
  require_plain_file(path);
  std::string text;
  std::error_code ignored;
  if (std::filesystem::exists(path, ignored)) text = read_file(path);
  const size_t whole = text.rfind('\n') + 1;  // npos + 1 is 0
  size_t number = 0;
  for (size_t at = 0; at < whole;) {
    const size_t end = text.find('\n', at);
    auto [key, item] =
        read_line(text.substr(at, end - at), str(path, ":", ++number));
    found(key, std::move(item));
    at = end + 1;
  }
  return whole;
}

}  // namespace

ItemLog::ItemLog(std::string path) : path_(std::move(path)) {
  const size_t whole = each_line(path_, [this](uint64_t key, Json item) {
    items_[key] = std::move(item);
  });
  const std::filesystem::path file(path_);
  make_folder_in(file.parent_path().parent_path().string(),
                 file.parent_path().filename().string());
  file_ = std::make_unique<OwnFile>(path_, whole);
}

const Json* ItemLog::find(uint64_t key) const {
  const auto found = items_.find(key);
  if (found == items_.end()) return nullptr;
  used_.insert(key);
  return &found->second;
}

void ItemLog::add(uint64_t key, const Json& item) {
  const std::string line =
      dump_json(Json{{"key", key_to_hex(key)}, {"item", item}}) + "\n";
  file_->append(line);
  items_[key] = item;
  used_.insert(key);
}

std::vector<uint64_t> ItemLog::take_used() {
  const std::vector<uint64_t> keys(used_.begin(), used_.end());
  used_.clear();
  return keys;
}

void ItemLog::sync() { file_->sync(); }

std::vector<Json> read_items(const std::string& path,
                             const std::vector<uint64_t>& keys) {
  const std::set<uint64_t> wanted(keys.begin(), keys.end());
  std::vector<Json> items;
  std::unordered_map<uint64_t, size_t> places;
  each_line(path, [&](uint64_t key, Json item) {
    if (!wanted.empty() && !wanted.contains(key)) return;
    const auto [at, fresh] = places.emplace(key, items.size());
    if (fresh) items.emplace_back();
    items[at->second] = std::move(item);
  });
  return items;
}

}  // namespace selfalign::eval
