// SPDX-License-Identifier: Apache-2.0
#include "cli/sampling_flags.h"

#include "base/error.h"
#include "cli/setting_flags.h"

namespace selfalign::cli {

void add_sampling(CLI::App& command, recipe::GivenSampling& given,
                  const std::string& otherwise) {
  FlagMaker flag(command);
  generate::Sampling::describe_draw(flag, given);
  CLI::Option* temperature = command.get_option("--temperature");
  temperature->description(
      str(temperature->get_description(), " Else ", otherwise, "."));
}

}  // namespace selfalign::cli
