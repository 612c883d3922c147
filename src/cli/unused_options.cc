// SPDX-License-Identifier: Apache-2.0
#include "cli/unused_options.h"

#include <CLI/CLI.hpp>

#include "base/error.h"

namespace selfalign::cli {

void refuse_given(const CLI::App& command,
                  const std::vector<const char*>& names,
                  const std::string& when) {
  for (const char* name : names) {
    const CLI::Option* option = command.get_option_no_throw(name);
    if (option == nullptr || option->count() == 0) continue;
    throw Error(ErrorKind::kUsage,
                str(name, " has no effect ", when, "; leave it out"));
  }
}

}  // namespace selfalign::cli
