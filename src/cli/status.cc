#include <CLI/CLI.hpp>
#include <memory>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/lines.h"
#include "cli/run_folder.h"
#include "stages/funnel.h"
#include "stages/pipeline.h"
#include "store/store.h"

namespace selfalign::cli {
namespace {

constexpr char kFooter[] = R"(What a run has made so far, also while it goes on:
  selfalign status runs/smollm2-demo
  selfalign status runs/smollm2-demo --json | jq .stages

A line per stage: what was made, what was kept, what was rejected and why.
The closing table follows once all is done. The digest is the same for every
run of the same recipe, machine and version, however often it was stopped.)";

// A tuning has no rows to count: its losses stand in their place.
std::string stage_line(const store::Manifest& manifest) {
  const Json& report = manifest.report;
  if (!report.contains("loss_after")) {
    return stages::funnel_line(stages::funnel_of(manifest));
  }
  return str(manifest.stage, ": ", report.value("num_samples", 0), " samples, ",
             report.value("num_steps", 0), " steps; loss ",
             report.value("loss_before", 0.0), " -> ",
             report.value("loss_after", 0.0));
}

std::string status_text(const store::Store& store) {
  std::string out = "run " + store.folder() + "\n";
  for (const store::Manifest& manifest : store.manifests()) {
    out += "  " + stage_line(manifest) + "\n";
  }
  for (const std::string& stage : store.stages()) {
    if (store.manifest(stage)) continue;
    out += str("  ", stage, ": under way, ", store.num_rows(stage), " rows, ",
               store.num_completions(stage), " completions\n");
  }
  const bool done = is_done(store);
  return out + str("digest ", store.run_digest(), "\n",
                   done ? "done\n"
                        : "not done; go on with: selfalign resume " +
                              store.folder() + "\n");
}

}  // namespace

void add_status(CLI::App& app, Shell& shell) {
  CLI::App* command = app.add_subcommand(
      "status", "What a run has made, kept and rejected so far");
  auto folder = std::make_shared<std::string>();
  command->add_option("run", *folder, "run folder")->required();
  command->footer(kFooter);
  command->callback([folder, &shell] {
    shell.action = [folder, &shell] {
      const std::unique_ptr<store::Store> store =
          store::Store::open(*folder, store::OpenMode::kReadOnly);
      if (shell.json) {
        write_json(status_json(*store));
        return;
      }
      write_out(status_text(*store));
      if (is_done(*store)) {
        write_out("\n" + stages::run_summary(recipe_of_run(*folder), *store));
      }
    };
  });
}

}  // namespace selfalign::cli
