// SPDX-License-Identifier: Apache-2.0
// Where the prompts of evaluations are, which are no part of a run.
#pragma once

#include <string>

namespace selfalign::cli {

// The folder with an evaluation's prompts, `file` among them, of which a run
// keeps no copy: `given` if not empty; else the folder of prompts that the
// recipe of `run` names, if there is a run and the file is there; else as
// find_prompts does.
std::string find_prompts_with(const std::string& file, const std::string& given,
                              const std::string& run);

}  // namespace selfalign::cli
