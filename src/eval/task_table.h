// SPDX-License-Identifier: Apache-2.0
// The tasks by name.
#pragma once

#include <string>
#include <vector>

#include "eval/tasks.h"

namespace selfalign::eval {

const std::vector<Task>& tasks();
// Error kUsage lists the names there are.
const Task& task_named(const std::string& name);

// Any other file of such questions as a task, "NAME=FILE" or "FILE", which is
// named by its file, or by its folder where the file is question.jsonl. Asked
// as Vicuna's. Error kUsage for a name as of require_name or that another task
// has; kInput for a file that cannot be read.
Task questions_task(const std::string& named);

}  // namespace selfalign::eval
