// Results as text for a terminal.
#pragma once

#include <string>
#include <vector>

#include "eval/evaluation.h"

namespace selfalign::eval {

// One task's results of several subjects beside each other: a line a figure,
// with chance and 95 % intervals; then the self-tests that failed.
std::string results_table(const std::string& title,
                          const std::vector<TaskResult>& results);

}  // namespace selfalign::eval
