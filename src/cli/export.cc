// SPDX-License-Identifier: Apache-2.0
#include "export/export.h"

#include <CLI/CLI.hpp>
#include <memory>

#include "base/error.h"
#include "base/log.h"
#include "cli/commands.h"
#include "cli/lines.h"
#include "cli/run_folder.h"
#include "store/reader.h"

namespace selfalign::cli {
namespace {

constexpr char kFooter[] =
    R"(Instructions and answers of a run as a dataset folder:
  selfalign export runs/smollm2-demo --output demo-messages
  selfalign export runs/smollm2-demo --stage engraved --form alpaca \
      --output demo-alpaca
  selfalign export runs/smollm2-demo --form parquet --output demo-parquet

Stages: engraved (answers under the principles, without them and without the
thoughts) and verbose (the long answers of the engraved model; the default
where there are any).
Forms, as read by torchtune, axolotl and LLaMA-Factory:
  alpaca    {"instruction", "input", "output"}, one object a line
  sharegpt  {"conversations": [{"from": "human", "value"}, {"from": "gpt", ...}]}
  messages  {"messages": [{"role": "user", "content"}, ...]}
  parquet   instruction, response, messages, key, stage, type, rules, ends
Answers that were cut off are left out; Parquet marks them in "ends".
The folder must not be there yet. Beside the data it holds README.md (a dataset
card), dataset_info.json (for LLaMA-Factory: dataset_dir is the folder),
axolotl.yaml, the prompt of the run's adapter (selfalign.json and
chat_template.jinja) and manifest.json, with the SHA-256 of every input and output.
The adapters need no export: RUN/engraved/adapter and RUN/verbose/adapter are PEFT
folders that carry their prompt and a chat template.)";

struct ExportFlags {
  std::string run;
  std::string stage;
  std::string form = "messages";
  std::string output;
};

void export_run(const ExportFlags& flags, const Shell& shell) {
  const std::unique_ptr<store::Reader> store = store::Reader::open(flags.run);
  exports::ExportOptions options;
  options.set = flags.stage == "engraved" ? "engrave" : flags.stage;
  options.form = flags.form;
  options.folder = flags.output;
  options.program = "selfalign " SELFALIGN_VERSION;
  const exports::ExportReport report =
      exports::export_dataset(*store, recipe_of_run(flags.run), options);
  if (shell.json) {
    write_json(Json{{"output", flags.output},
                    {"set", report.set},
                    {"rows", report.num_written},
                    {"cut_off", report.num_cut_off},
                    {"files", report.files}});
    return;
  }
  log_info(str(flags.output, ": ", report.num_written, " rows of ", report.set,
               flags.form == "parquet" ? ", of them marked as truncated "
                                       : ", left out as truncated ",
               report.num_cut_off));
}

}  // namespace

void add_export(CLI::App& app, Shell& shell) {
  CLI::App* command = app.add_subcommand(
      "export", "Instructions and answers as a dataset folder");
  auto flags = std::make_shared<ExportFlags>();
  command->add_option("run", flags->run, "run folder")->required();
  command->add_option("--stage", flags->stage, "engraved or verbose")
      ->check(CLI::IsMember({"engraved", "verbose"}));
  command
      ->add_option("--form", flags->form,
                   "alpaca, sharegpt, messages or parquet")
      ->check(CLI::IsMember({"alpaca", "sharegpt", "messages", "parquet"}))
      ->capture_default_str();
  command->add_option("--output", flags->output, "folder to make")->required();
  command->footer(kFooter);
  set_action(*command, shell, [flags, &shell] { export_run(*flags, shell); });
}

}  // namespace selfalign::cli
