#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "cli/commands.h"
#include "cli/lines.h"
#include "cli/run_folder.h"
#include "cli/workbench.h"
#include "stages/pipeline.h"
#include "stages/recipe.h"

namespace selfalign::cli {
namespace {

constexpr char kRunFooter[] = R"(The whole way, from base model to assistant:
  selfalign run recipes/smollm2-demo.yaml
  selfalign run recipes/smollm2-demo.yaml --run-folder /data/runs/demo

Stages: instruct (new instructions), align (answers under the principles),
engrave (tuning of the base on them), verbose (longer answers by the engraved
model, final tuning of the base). Everything goes into the run folder that the
recipe names. The command can be stopped at any time, by Ctrl-C or by force:
the same command, or `selfalign resume RUN`, goes on, and the result is the
same. Ctrl-C once finishes the step, twice stops now; both exit with 75.

Look at it, also while it runs:
  selfalign status RUN      selfalign show RUN align.answers:0)";

constexpr char kResumeFooter[] = R"(Goes on with a run that was stopped:
  selfalign resume runs/smollm2-demo
All settings come from RUN/recipe.resolved.yaml. A run that is done is left as
it is. Paths in the recipe were made absolute when the run began.)";

void perform_run(const stages::Recipe& recipe, Shell& shell) {
  const std::string folder = recipe.run_folder;
  shell.resume_hint = "go on with: selfalign resume " + folder;
  const std::unique_ptr<store::Store> store = stages::open_run(recipe);
  const bool was_done = is_done(*store);
  if (was_done) {
    log_info(folder + ": already done; selfalign status shows what is there");
  }
  LocalWorkbench workbench;
  try {
    if (!was_done) stages::run_pipeline(recipe, workbench, *store);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kInterrupted) throw;
    // The stages and the trainer do not know what this run is called.
    throw Error(error.kind(),
                "interrupted: all finished work is kept; " + shell.resume_hint);
  }
  if (shell.json) {
    write_json(status_json(*store));
  } else {
    write_out(stages::run_summary(recipe, *store));
  }
}

}  // namespace

void add_run(CLI::App& app, Shell& shell) {
  CLI::App* command = app.add_subcommand(
      "run", "Make the run that a recipe describes, or go on with it");
  auto path = std::make_shared<std::string>();
  auto folder = std::make_shared<std::string>();
  command->add_option("recipe", *path, "YAML file, see recipes/")->required();
  command->add_option("--run-folder", *folder,
                      "where the run is kept, in place of the recipe's "
                      "run_folder");
  command->footer(kRunFooter);
  command->callback([path, folder, &shell] {
    shell.action = [path, folder, &shell] {
      stages::Recipe recipe = stages::read_recipe(*path);
      if (!folder->empty()) {
        recipe.run_folder =
            std::filesystem::absolute(*folder).lexically_normal();
      }
      perform_run(recipe, shell);
    };
  });
}

void add_resume(CLI::App& app, Shell& shell) {
  CLI::App* command = app.add_subcommand(
      "resume", "Go on with a run that was stopped; needs nothing else");
  auto folder = std::make_shared<std::string>();
  command->add_option("run", *folder, "run folder")->required();
  command->footer(kResumeFooter);
  command->callback([folder, &shell] {
    shell.action = [folder, &shell] {
      perform_run(recipe_of_run(*folder), shell);
    };
  });
}

}  // namespace selfalign::cli
