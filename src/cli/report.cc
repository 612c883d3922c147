// SPDX-License-Identifier: Apache-2.0
#include "report/report.h"

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/commands.h"
#include "cli/lines.h"
#include "cli/run_folder.h"

namespace selfalign::cli {
namespace {

constexpr char kFooter[] =
    R"(One HTML page that opens offline, and the same as JSON and Markdown:
  selfalign report runs/smollm2-demo
  selfalign report runs/smollm2-demo --out shown.html
  selfalign report evaluation           an evaluation without a run
  selfalign report runs/smollm2-demo --json | jq .verbose_tax

Stages and what they rejected, samples from principle to answer, principles,
training curves, evaluations with intervals and their items, judges, the
verbose tax, and what it takes to make the run again. It is also written at the
end of run, evaluate and judge; here it is made anew from what is there, also of
a run under way. --json prints what report.json has.)";

}  // namespace

void add_report(CLI::App& app, Shell& shell) {
  CLI::App* command = app.add_subcommand(
      "report", "A page about a run and its evaluations, also JSON, Markdown");
  auto folder = std::make_shared<std::string>();
  auto out = std::make_shared<std::string>();
  auto sign_key = std::make_shared<std::string>();
  command->add_option("run", *folder, "folder of a run or of an evaluation")
      ->required();
  command->add_option("--out", *out,
                      "where the page goes, in place of FOLDER/report.html; "
                      "JSON and Markdown go beside it");
  add_sign_key(*command, *sign_key);
  command->footer(kFooter);
  set_action(*command, shell, [folder, out, sign_key, &shell] {
    if (shell.json) {
      write_json(to_json(report::make_report(*folder)));
      return;
    }
    const auto key = read_sign_key(*sign_key);
    write_out(report::write_report(*folder, *out, nullptr, key) + "\n");
  });
}

}  // namespace selfalign::cli
