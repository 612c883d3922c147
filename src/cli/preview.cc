// SPDX-License-Identifier: Apache-2.0
#include "replay/preview.h"

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/lines.h"
#include "cli/run_folder.h"
#include "cli/start.h"
#include "cli/terminal.h"
#include "local/workbench.h"
#include "recipe/recipe_file.h"
#include "recipe/run_files.h"
#include "replay/whole_run.h"
#include "stages/pipeline.h"

namespace selfalign::cli {
namespace {

constexpr char kFooter[] =
    R"(A handful of rows through everything, before the long run:
  selfalign preview recipes/smollm2.yaml
  selfalign preview recipes/smollm2.yaml --json | jq .seconds

The same stages with 8 instructions, 4 red-team questions and a step or two of
each tuning, in the folder RUN-preview, which every preview makes anew. Printed
are an example of each stage and what the whole run would take in tokens and
hours.)";

// An earlier preview goes; any other folder of that name stays.
void remove_old(const recipe::Recipe& small) {
  namespace fs = std::filesystem;
  const std::string& folder = small.run_folder;
  if (!fs::exists(folder) || fs::is_empty(folder)) return;
  if (!recipe::is_run_folder(folder) ||
      recipe_of_run(folder).name != small.name) {
    throw Error(ErrorKind::kUsage,
                str(folder,
                    ": expected an earlier preview of this recipe or "
                    "nothing, found something else; move it away"));
  }
  if (const auto writer = store::Reader::writer_of(folder)) {
    throw Error(ErrorKind::kFailed,
                str(folder, ": expected no other preview, found ", *writer,
                    "; wait for it or stop it"));
  }
  fs::remove_all(folder);
}

void preview(const std::string& path, Shell& shell) {
  const recipe::Recipe recipe = recipe::read_recipe(path);
  const recipe::Recipe small = replay::preview_recipe(recipe);
  local::LocalWorkbench workbench;
  check_before_start(small, path, workbench);
  remove_old(small);
  shell.resume_hint = "the same command begins anew";
  const auto store = stages::open_run(small);
  try {
    replay::run_to_end(small, workbench, *store);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kInterrupted) throw;
    throw Error(error.kind(), "interrupted: " + shell.resume_hint);
  }
  const recipe::Prompts prompts = recipe::run_prompts(store->folder());
  const auto report = replay::preview_report(recipe, prompts, *store);
  write_result(shell.json, to_json(report),
               replay::preview_text(report, *store, terminal_width()));
}

}  // namespace

void add_preview(CLI::App& app, Shell& shell) {
  CLI::App* command = app.add_subcommand(
      "preview", "A handful of rows through everything, and a forecast");
  auto path = std::make_shared<std::string>();
  command->add_option("recipe", *path, "YAML file, see recipes/")->required();
  command->footer(kFooter);
  set_action(*command, shell, [path, &shell] { preview(*path, shell); });
}

}  // namespace selfalign::cli
