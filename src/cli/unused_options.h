// SPDX-License-Identifier: Apache-2.0
// Options that would have no effect beside others: refused, never passed over.
#pragma once

#include <CLI/App.hpp>
#include <string>
#include <vector>

namespace selfalign::cli {

// Error kUsage where one of the options `names`, as far as the command has
// them, was given: `when` says why it would have no effect, "with --csv".
void refuse_given(const CLI::App& command,
                  const std::vector<const char*>& names,
                  const std::string& when);

}  // namespace selfalign::cli
