// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <chrono>
#include <memory>
#include <thread>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/unix_time.h"
#include "cli/commands.h"
#include "cli/lines.h"
#include "cli/run_folder.h"
#include "inspect/eta.h"
#include "inspect/summary.h"
#include "recipe/run_files.h"
#include "report/differences.h"
#include "stages/funnel.h"
#include "stages/tuning.h"
#include "store/checks.h"
#include "store/store.h"

namespace selfalign::cli {
namespace {

constexpr char kFooter[] = R"(What a run has made so far, also while it goes on:
  selfalign status runs/smollm2-demo
  selfalign status runs/smollm2-demo --json | jq .stages

  selfalign status runs/smollm2-demo --watch

A line per step with its rate and the time to go, and whether a process is at
work; then a line per stage: what was made, what was kept, what was rejected
and why.
The closing table follows once all is done. The digest is the same for every
run of the same recipe, machine and version, however often it was stopped.)";

// A tuning has no rows to count: its losses stand in their place.
std::string stage_line(const store::Manifest& manifest) {
  if (!stages::is_adapter(manifest)) {
    return stages::funnel_line(stages::funnel_of(manifest));
  }
  const stages::TuneReport tuning = stages::adapter_report(manifest).tuning;
  return str(manifest.stage, ": ", tuning.num_samples, " samples, ",
             tuning.num_steps, " steps; loss over these samples ",
             tuning.loss_before, " -> ", tuning.loss_after);
}

inspect::RunEta eta_of(const store::Reader& store) {
  const recipe::Recipe recipe = recipe_of_run(store.folder());
  return inspect::run_eta(recipe, recipe::run_prompts(recipe), store);
}

// Of a run at work nothing is to be done.
std::string how_to_go_on(const store::Reader& store) {
  return str("not done; go on with: selfalign resume ", store.folder(),
             store::evidence_of(store).signed_by ? " --sign-key KEYFILE" : "",
             "\n");
}

std::string status_text(const store::Reader& store) {
  const inspect::RunEta eta = eta_of(store);
  std::string out = "run " + store.folder() + "\n" +
                    inspect::eta_text(eta, unix_time()) + "\n";
  for (const store::Manifest& manifest : store.manifests()) {
    out += "  " + stage_line(manifest) + "\n";
  }
  for (const std::string& stage : store.stages()) {
    if (store.manifest(stage)) continue;
    out += str("  ", stage, ": under way, ", store.num_rows(stage), " rows, ",
               store.num_completions(stage), " completions\n");
  }
  out += "digest " + store.run_digest() + "\n";
  if (is_done(store)) return out + "done\n";
  return eta.writer ? out : out + how_to_go_on(store);
}

void print_status(const std::string& folder, bool json) {
  const std::unique_ptr<store::Reader> store = store::Reader::open(folder);
  if (json) {
    Json status = status_json(*store);
    status["pace"] = to_json(eta_of(*store));
    write_json(status);
    return;
  }
  write_out(status_text(*store));
  if (is_done(*store)) {
    const recipe::Recipe recipe = recipe_of_run(folder);
    write_out("\n" +
              inspect::summary_text(inspect::run_summary(recipe, *store)) +
              report::held_out_text(recipe, *store));
  }
}

// Until the run is done: on a terminal the same place again and again,
// elsewhere one after the other.
void watch_status(const std::string& folder, bool json) {
  constexpr int kNumNaps = 20;
  constexpr auto kNap = std::chrono::milliseconds(100);
  set_stop_note("");
  while (true) {
    const auto store = store::Reader::open(folder);
    if (is_done(*store)) break;
    if (!json) clear_screen();
    print_status(folder, json);
    for (int nap = 0; nap < kNumNaps && !interrupted(); ++nap) {
      std::this_thread::sleep_for(kNap);
    }
    if (!interrupted()) continue;
    set_interrupted(false);  // Ctrl-C is the way to leave
    return;
  }
  print_status(folder, json);
}

}  // namespace

void add_status(CLI::App& app, Shell& shell) {
  CLI::App* command = app.add_subcommand(
      "status", "What a run has made, kept and rejected so far");
  auto folder = std::make_shared<std::string>();
  auto watch = std::make_shared<bool>(false);
  command->add_option("run", *folder, "run folder")->required();
  command->add_flag("--watch", *watch,
                    "again every two seconds, until done or "
                    "Ctrl-C");
  command->footer(kFooter);
  set_action(*command, shell, [folder, watch, &shell] {
    *watch ? watch_status(*folder, shell.json)
           : print_status(*folder, shell.json);
  });
}

}  // namespace selfalign::cli
