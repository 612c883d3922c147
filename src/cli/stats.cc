// SPDX-License-Identifier: Apache-2.0
#include "inspect/stats.h"

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/commands.h"
#include "cli/lines.h"
#include "cli/run_folder.h"
#include "cli/terminal.h"
#include "recipe/run_files.h"
#include "store/reader.h"

namespace selfalign::cli {
namespace {

constexpr char kFooter[] =
    R"(What the data of a run is like, also while it goes on:
  selfalign stats runs/smollm2-demo
  selfalign stats runs/smollm2-demo --json | jq .instructions.root_verbs

Lengths of instructions and answers; diversity by root verb and noun (as
Self-Instruct's Figure 2, but guessed from the first words by a list of verbs,
not by a parser), by different n-grams and by the nearest seed task; what was
rejected as a duplicate; how often each principle fired.)";

}  // namespace

void add_stats(CLI::App& app, Shell& shell) {
  CLI::App* command = app.add_subcommand(
      "stats", "Lengths, diversity, duplicates and principles of a run");
  auto folder = std::make_shared<std::string>();
  command->add_option("run", *folder, "run folder")->required();
  command->footer(kFooter);
  set_action(*command, shell, [folder, &shell] {
    const recipe::Recipe recipe = recipe_of_run(*folder);
    const auto store = store::Reader::open(*folder);
    const inspect::RunStats stats =
        inspect::run_stats(recipe, recipe::run_prompts(recipe), *store);
    write_result(shell.json, to_json(stats),
                 inspect::stats_text(stats, terminal_width()));
  });
}

}  // namespace selfalign::cli
