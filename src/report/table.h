// SPDX-License-Identifier: Apache-2.0
// Results as text for a terminal.
#pragma once

#include <string>
#include <vector>

#include "eval/evaluation.h"

namespace selfalign::report {

// Lines of columns, each as wide as its widest text.
using TextRow = std::vector<std::string>;
std::string aligned_text(const std::vector<TextRow>& lines);
std::string three_digits(double value);  // "0.123"

// One task's results of several subjects beside each other: a line a figure,
// with chance and 95 % intervals; then how the answers were decoded and the
// self-tests that failed.
std::string results_table(const std::string& title,
                          const std::vector<eval::TaskResult>& results);

}  // namespace selfalign::report
