// SPDX-License-Identifier: Apache-2.0
// What all tasks do alike: find their data, pick the items, name them by what
// they depend on.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "eval/tasks.h"

namespace selfalign::eval {

// The one file below `folder`, at any depth, whose path ends in `name`
// ("TruthfulQA.csv", "honest/task.json"). Error kInput where there is none, or
// several of different content.
std::string find_data(const std::string& folder, const std::string& name);

// Error kUsage, which begins with `where`, unless a subject, a task or a judge
// can be called so: files are named by it, and judgements "TASK.judge.NAME".
void require_name(const std::string& where, const std::string& name);

// "TruthfulQA.csv 0123...": the names and one digest of the contents.
std::string describe_data(const std::vector<std::string>& paths);

// Numbers, rising, of the items to ask: all, or a sample of options.limit.
std::vector<size_t> pick_items(size_t num_items, const TaskOptions& options);

// "817", or "50 of 817, seed 0": for TaskResult::settings["items"].
std::string describe_pick(size_t num_items, const TaskOptions& options);

// The key of an item in its log. `asked` is all that the model is shown.
uint64_t item_key(const std::string& task, const std::string& version,
                  const std::string& id, std::string_view asked,
                  const std::string& fingerprint);

// A result that says what was asked of whom, and has no figures yet.
TaskResult begin_result(const std::string& task, const std::string& version,
                        const Subject& subject, const std::string& data);

std::string percent(double share);  // "22.3 %"

}  // namespace selfalign::eval
