#include "stages/export.h"

#include <CLI/CLI.hpp>
#include <memory>

#include "base/error.h"
#include "base/log.h"
#include "cli/commands.h"
#include "cli/lines.h"
#include "formats/datasets.h"
#include "store/store.h"

namespace selfalign::cli {
namespace {

constexpr char kFooter[] =
    R"(Instructions and answers of a run, for other tools:
  selfalign export runs/smollm2-demo --output answers.jsonl
  selfalign export runs/smollm2-demo --stage engraved --form alpaca \
      --output engraved.jsonl

Stages: engraved (answers under the principles, without them and without the
thoughts) and verbose (the long answers of the engraved model).
Forms, as read by torchtune, axolotl and LLaMA-Factory, one object a line:
  alpaca    {"instruction", "input", "output"}
  sharegpt  {"conversations": [{"from": "human", "value"}, {"from": "gpt", ...}]}
  messages  {"messages": [{"role": "user", "content"}, ...]}
Answers that were cut off are left out. The adapters need no export: RUN/engraved/adapter
and RUN/verbose/adapter are PEFT folders.)";

struct ExportFlags {
  std::string run;
  std::string stage = "verbose";
  std::string form = "messages";
  std::string output;
};

void export_run(const ExportFlags& flags, const Shell& shell) {
  const formats::DatasetForm form = formats::dataset_form(flags.form);
  const std::unique_ptr<store::Store> store =
      store::Store::open(flags.run, store::OpenMode::kReadOnly);
  const stages::ExportReport report = stages::export_pairs(
      *store, flags.stage == "engraved" ? "engrave" : "verbose", form,
      flags.output);
  if (shell.json) {
    write_json(Json{{"output", flags.output},
                    {"rows", report.num_written},
                    {"cut_off", report.num_cut_off}});
    return;
  }
  log_info(str(flags.output, ": ", report.num_written, " rows, ",
               report.num_cut_off, " left out because they were cut off"));
}

}  // namespace

void add_export(CLI::App& app, Shell& shell) {
  CLI::App* command = app.add_subcommand(
      "export", "Instructions and answers as a dataset file");
  auto flags = std::make_shared<ExportFlags>();
  command->add_option("run", flags->run, "run folder")->required();
  command->add_option("--stage", flags->stage, "engraved or verbose")
      ->check(CLI::IsMember({"engraved", "verbose"}))
      ->capture_default_str();
  command->add_option("--form", flags->form, "alpaca, sharegpt or messages")
      ->check(CLI::IsMember({"alpaca", "sharegpt", "messages"}))
      ->capture_default_str();
  command->add_option("--output", flags->output, "file to write")->required();
  command->footer(kFooter);
  command->callback([flags, &shell] {
    shell.action = [flags, &shell] { export_run(*flags, shell); };
  });
}

}  // namespace selfalign::cli
