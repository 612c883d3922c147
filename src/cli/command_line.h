// SPDX-License-Identifier: Apache-2.0
// What stands on the command line before a parser sees it: a command by its
// name, or `help` and `version`, which are no commands.
#pragma once

#include <string>
#include <vector>

namespace selfalign::cli {

// The words that CLI11 is given for those behind the program's name: `help` and
// `version` as the options that they mean. Error kUsage where there is no
// command, or none of `names`.
std::vector<std::string> command_line(std::vector<std::string> words,
                                      const std::vector<std::string>& names);

}  // namespace selfalign::cli
