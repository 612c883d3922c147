// SPDX-License-Identifier: Apache-2.0
#include "replay/profiles.h"

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>

#include "base/log.h"
#include "base/progress.h"
#include "cli/commands.h"
#include "cli/lines.h"
#include "cli/options.h"
#include "store/reader.h"

namespace selfalign::cli {
namespace {

constexpr char kFooter[] =
    R"(What the published filters would have made of a run:
  selfalign profiles runs/smollm2-demo
  selfalign profiles runs/smollm2-demo --examples 5
  selfalign profiles runs/smollm2-demo --json

The run is judged by its own profile. Here it is played again from its stored
completions and both profiles, default and paper, judge every row of stages 1,
2 and 4. Counted are rows that one keeps and the other rejects, by the reasons
of both, and "changed": both keep the answer, with another text or end. No model
is loaded and nothing is written to the run.)";

struct Flags {
  std::string run;
  int num_examples = 0;
};

void print_profiles(const Flags& flags, const Shell& shell) {
  // What the stages say when they are played again was said before.
  set_log_level(LogLevel::kError);
  set_progress_shown(false);
  const auto store = store::Reader::open(
      std::filesystem::absolute(flags.run).lexically_normal());
  const auto report = replay::profiles_report(*store, flags.num_examples);
  write_result(shell.json, to_json(report), replay::profiles_text(report));
}

}  // namespace

void add_profiles(CLI::App& app, Shell& shell) {
  CLI::App* command = app.add_subcommand(
      "profiles", "Count the rows on which default and paper differ");
  auto flags = std::make_shared<Flags>();
  command->add_option("run", flags->run, "run folder")->required();
  command
      ->add_option("--examples", flags->num_examples,
                   "examples of each difference")
      ->check(in_range(Range<int>{0, 1000}));
  command->footer(kFooter);
  set_action(*command, shell,
             [flags, &shell] { print_profiles(*flags, shell); });
}

}  // namespace selfalign::cli
