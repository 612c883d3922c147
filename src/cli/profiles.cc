// SPDX-License-Identifier: Apache-2.0
#include "inspect/profiles.h"

#include <CLI/CLI.hpp>
#include <memory>

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

Both profiles, default and paper, judge every row of stages 1, 2 and 4; the
run's own decides. Counted are rows that one keeps and the other rejects, by
the reasons of both, and "changed": both keep the answer, with another text or
end.)";

struct Flags {
  std::string run;
  int num_examples = 0;
};

void print_profiles(const Flags& flags, const Shell& shell) {
  const auto store = store::Reader::open(flags.run);
  const auto report = inspect::profiles_report(*store, flags.num_examples);
  if (shell.json) {
    write_json(to_json(report));
  } else {
    write_out(inspect::profiles_text(report));
  }
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
  command->callback([flags, &shell] {
    shell.action = [flags, &shell] { print_profiles(*flags, shell); };
  });
}

}  // namespace selfalign::cli
