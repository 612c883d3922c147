// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <filesystem>
#include <functional>
#include <memory>

#include "base/error.h"
#include "base/log.h"
#include "base/shown.h"
#include "cli/commands.h"
#include "cli/lines.h"
#include "cli/run_folder.h"
#include "cli/start.h"
#include "generate/remote_address.h"
#include "inspect/summary.h"
#include "local/workbench.h"
#include "recipe/recipe.h"
#include "recipe/recipe_file.h"
#include "recipe/run_files.h"
#include "replay/fork.h"
#include "replay/whole_run.h"
#include "report/differences.h"
#include "report/report.h"
#include "stages/funnel.h"
#include "stages/pipeline.h"
#include "stages/stage_table.h"
#include "stages/start_checks.h"
#include "store/checks.h"

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
  selfalign status RUN      selfalign show RUN align.pairs:0)";

constexpr char kResumeFooter[] = R"(Goes on with a run that was stopped:
  selfalign resume runs/smollm2-demo
All settings come from RUN/recipe.resolved.yaml. A run that is done is left as
it is. Paths in the recipe were made absolute when the run began.

With another recipe or other prompts, or after a review of what is done
already, make a new run of it; the old one stays as it is:
  selfalign resume runs/a --fork runs/b --recipe changed.yaml
  selfalign resume runs/a --fork runs/b
All that the changes do not affect is taken over: completions and adapters
whose inputs are the same. The rest is made anew, and the result is what a
run from scratch would give. --from STAGE makes everything from there anew.)";

using OpenRun =
    std::function<std::unique_ptr<store::Store>(const recipe::Recipe&)>;

// A run that is done asks no model: where the recipe has it at another place,
// that it is the same is said by its digest.
void require_its_model(const recipe::Recipe& recipe, const store::Reader& store,
                       local::LocalWorkbench& workbench) {
  const recipe::ModelOptions model = recipe.model_for(recipe::Role::kAlign);
  const recipe::ModelOptions was =
      recipe::run_recipe(store.folder()).model_for(recipe::Role::kAlign);
  const auto known =
      store.meta("fingerprint." + stages::model_name("base", model));
  if (!known || model.place() == was.place()) return;
  const std::string found =
      model.is_served() ? workbench.open_generator(model, "")->fingerprint()
                        : "local " + workbench.weights(model)->digest;
  // Behind the digest stands how it was computed.
  if (*known == found || known->starts_with(found + ",")) return;
  throw Error(
      ErrorKind::kUsage,
      str(model.place(), ": expected the base model this run was begun with (",
          *known, "), found another (", found,
          "); give that model's path, or make a run of this one: selfalign "
          "resume ",
          store.folder(), " --fork NEW --recipe RECIPE"));
}

// `file` is the recipe's; `sign_key` the key's, if any. `made`: folder of an
// adapter for the next tuning, if any.
void perform_run(const recipe::Recipe& recipe, const std::string& file,
                 const std::string& sign_key, Shell& shell,
                 const OpenRun& open = stages::open_run,
                 const std::string& made = "") {
  const std::string folder = recipe.run_folder;
  const auto key = read_sign_key(sign_key);
  local::LocalWorkbench workbench;
  workbench.adopt_next(made);
  if (!stages::is_begun(folder)) {
    check_before_start(recipe, file, workbench);
  }
  shell.resume_hint = "go on with: selfalign resume " + folder +
                      (sign_key.empty() ? "" : " --sign-key " + sign_key) +
                      (commands_of(recipe).empty() ? "" : " --allow-command");
  const std::unique_ptr<store::Store> store = open(recipe);
  if (key) store->set_signing_key(key);
  const bool was_done = is_done(*store);
  if (was_done) {
    require_its_model(recipe, *store, workbench);
    recipe::keep_places(recipe, folder);
    log_info(folder + ": already done" + (key ? ", and signed" : "") +
             "; selfalign status shows what is there");
  }
  try {
    if (!was_done) replay::run_to_end(recipe, workbench, *store);
    // Also where the process ended between the two.
    if (!was_done || !report::has_report(*store)) {
      log_info("report: " + report::write_report(folder, "", store.get()));
    }
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kInterrupted) throw;
    // The stages and the trainer do not know what this run is called.
    throw Error(error.kind(),
                "interrupted: all finished work is kept; " + shell.resume_hint);
  }
  if (shell.json) {
    write_json(status_json(*store));
  } else {
    write_out(inspect::summary_text(inspect::run_summary(recipe, *store)) +
              report::held_out_text(recipe, *store));
  }
}

constexpr char kAdoptFooter[] =
    R"(Of a tuning that the run has still to do, the result made elsewhere:
  selfalign adopt runs/a my-adapter
FOLDER is a PEFT adapter, or an HF model where the recipe says method: full. It
must be of the run's base, on the modules, ranks and scales of the recipe, and
lower the loss on samples that the run holds back from the training; else the
run stays as it is. What it was trained on is your word: the samples of the run
are in RUN/TUNING/handoff (docs/handoff.md). The run then goes on; where that
means a command of its recipe, --allow-command lets it.)";

// The tunings that are still to be done, in order; one at least.
std::vector<std::string> open_tunings(const recipe::Recipe& recipe,
                                      const std::string& folder) {
  const auto store = store::Reader::open(folder);
  std::vector<std::string> names;
  std::string last;
  for (const stages::Variant& variant : stages::variants()) {
    if (variant.folder.empty() || !recipe.has(variant.stage())) continue;
    last = variant.stage();
    if (!stages::stage_done(*store, variant.adapter_stage)) {
      names.push_back(variant.name);
    }
  }
  if (!names.empty()) return names;
  throw Error(ErrorKind::kUsage,
              folder +
                  ": expected a run with a tuning still to do, found none; "
                  "make a fork that does it anew: selfalign resume " +
                  folder + " --fork NEW --from " + last);
}

}  // namespace

void add_run(CLI::App& app, Shell& shell) {
  CLI::App* command = app.add_subcommand(
      "run", "Make the run that a recipe describes, or go on with it");
  auto path = std::make_shared<std::string>();
  auto folder = std::make_shared<std::string>();
  auto sign_key = std::make_shared<std::string>();
  command->add_option("recipe", *path, "YAML file, see recipes/")->required();
  command->add_option("--run-folder", *folder,
                      "where the run is kept, in place of the recipe's "
                      "run_folder");
  add_sign_key(*command, *sign_key);
  command->footer(kRunFooter);
  set_action(*command, shell, [path, folder, sign_key, &shell] {
    recipe::Recipe recipe = recipe::read_recipe(*path);
    if (!folder->empty()) {
      recipe.run_folder = std::filesystem::absolute(*folder).lexically_normal();
    }
    perform_run(recipe, *path, *sign_key, shell);
  });
}

void add_adopt(CLI::App& app, Shell& shell) {
  CLI::App* command = app.add_subcommand(
      "adopt", "Take an adapter made elsewhere as a run's next tuning");
  struct Options {
    std::string run, made, sign_key;
    bool allow_command = false;
  };
  auto options = std::make_shared<Options>();
  command->add_option("run", options->run, "run folder")->required();
  command->add_option("folder", options->made, "PEFT adapter, or HF model")
      ->required();
  add_sign_key(*command, options->sign_key);
  command->add_flag("--allow-command", options->allow_command,
                    "run the command that the run's recipe trains with, for "
                    "what comes after");
  command->footer(kAdoptFooter);
  set_action(*command, shell, [options, &shell] {
    const recipe::Recipe recipe = recipe_of_run(options->run);
    const auto tunings = open_tunings(recipe, options->run);
    log_info(str(options->run, ": ", options->made, " for ", tunings.front()));
    // The last of them leaves nothing to train.
    require_allowed(
        tunings.size() > 1 ? commands_of(recipe) : reload_of(recipe), recipe,
        options->allow_command);
    perform_run(recipe, options->run + recipe::kRecipeFile, options->sign_key,
                shell, stages::open_run,
                std::filesystem::absolute(options->made).lexically_normal());
  });
}

void add_resume(CLI::App& app, Shell& shell) {
  CLI::App* command = app.add_subcommand(
      "resume", "Go on with a run that was stopped, or fork it");
  struct Options {
    std::string folder;
    std::string fork;
    std::string recipe;
    std::string from;
    std::string sign_key;
    bool allow_command = false;
  };
  auto options = std::make_shared<Options>();
  command->add_option("run", options->folder, "run folder")->required();
  CLI::Option* fork = command->add_option(
      "--fork", options->fork,
      "folder of a new run that takes over what stays the same");
  command
      ->add_option("--recipe", options->recipe,
                   "what the new run goes by, in place of the run's recipe")
      ->needs(fork);
  command
      ->add_option("--from", options->from,
                   "take nothing over from this stage on, as align")
      ->needs(fork);
  add_sign_key(*command, options->sign_key);
  command->add_flag("--allow-command", options->allow_command,
                    "run the command that the run's recipe trains with");
  command->footer(kResumeFooter);
  set_action(*command, shell, [options, &shell] {
    const std::string own = options->folder + recipe::kRecipeFile;
    if (options->fork.empty()) {
      const recipe::Recipe recipe = recipe_of_run(options->folder);
      require_allowed(commands_of(recipe), recipe, options->allow_command);
      perform_run(recipe, own, options->sign_key, shell);
      return;
    }
    // That the run is damaged is said before its model is looked for.
    store::require_sealed(*store::Reader::open(options->folder));
    const bool is_own = options->recipe.empty();
    recipe::Recipe recipe = is_own ? recipe_of_run(options->folder)
                                   : recipe::read_recipe(options->recipe);
    if (is_own)
      require_allowed(commands_of(recipe), recipe, options->allow_command);
    recipe.run_folder =
        std::filesystem::absolute(options->fork).lexically_normal();
    perform_run(recipe, is_own ? own : options->recipe, options->sign_key,
                shell, [&](const recipe::Recipe& its) {
                  return replay::open_fork(its, options->folder, options->from);
                });
  });
}

}  // namespace selfalign::cli
