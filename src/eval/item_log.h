// SPDX-License-Identifier: Apache-2.0
// The items of one task for one subject, one JSON object a line, appended as
// they are done: an evaluation that was killed goes on where it stopped, and
// what was asked, answered and scored can be read with any tool.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/json.h"
#include "base/own_file.h"

namespace selfalign::eval {

class ItemLog {
 public:
  // Reads what is there. A last line that was cut off is dropped; Error
  // kDamaged names file and line of any other that is no item. Lines that
  // cannot be written are an Error kResources.
  explicit ItemLog(std::string path);
  ItemLog(const ItemLog&) = delete;
  ItemLog& operator=(const ItemLog&) = delete;

  // A key is the hash of all that the item depends on: task and version, the
  // question, the request and the model's fingerprint. Null: not there yet.
  const Json* find(uint64_t key) const;
  // Appends and flushes; an item of the same key is replaced.
  void add(uint64_t key, const Json& item);
  // The keys that were found or added since the last call, rising: what was
  // computed meanwhile was computed from these items (TaskResult::keys).
  std::vector<uint64_t> take_used();
  // Durable from here on.
  void sync();

  const std::string& path() const { return path_; }

 private:
  std::string path_;
  std::unique_ptr<OwnFile> file_;
  std::unordered_map<uint64_t, Json> items_;
  mutable std::set<uint64_t> used_;
};

// Items of a log that nobody writes to now: of each key the last, in the order
// in which the keys came; those of `keys`, or all where that is empty. Errors
// as of ItemLog; none where there is no file.
std::vector<Json> read_items(const std::string& path,
                             const std::vector<uint64_t>& keys = {});

}  // namespace selfalign::eval
