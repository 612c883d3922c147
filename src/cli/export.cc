// SPDX-License-Identifier: Apache-2.0
#include "export/export.h"

#include <CLI/CLI.hpp>
#include <memory>

#include "base/error.h"
#include "base/log.h"
#include "cli/commands.h"
#include "cli/lines.h"
#include "cli/run_folder.h"
#include "generate/remote_address.h"
#include "local/merged_model.h"
#include "recipe/run_files.h"
#include "report/report.h"
#include "store/reader.h"

namespace selfalign::cli {
namespace {

constexpr char kFooter[] =
    R"(Instructions and answers of a run as a dataset folder:
  selfalign export runs/smollm2-demo --output demo-messages
  selfalign export runs/smollm2-demo --stage engraved --form alpaca \
      --output demo-alpaca
  selfalign export runs/smollm2-demo --form parquet --output demo-parquet
A run's model for transformers, vLLM, llama.cpp and ollama:
  selfalign export runs/smollm2-demo --model merged --output demo-hf
  selfalign export runs/smollm2-demo --model gguf --type q8_0 --output demo-gguf
  selfalign export runs/NAME --model adapter --output demo-adapter
The same of any base, without a run or with any PEFT adapter:
  selfalign export BASE --adapter FOLDER --model merged --output merged

Stages: engraved (answers under the principles, without them and without the
thoughts) and verbose (the long answers of the engraved model; the default
where there are any); of models also tuned, a baseline's.
Forms, as read by torchtune, axolotl and LLaMA-Factory:
  alpaca    {"instruction", "input", "output"}, one object a line
  sharegpt  {"conversations": [{"from": "human", "value"}, {"from": "gpt", ...}]}
  messages  {"messages": [{"role": "user", "content"}, ...]}
  parquet   instruction, response, messages, key, stage, type, rules, ends
Answers that were cut off are left out; Parquet marks them in "ends".
Models:
  merged    an HF folder, the adapter added to the weights in float32 and
            rounded to the base's type (or --type); over 5 GB in shards
  gguf      the same as FOLDER/NAME.gguf for llama.cpp and ollama
  adapter   the PEFT folder with tokenizer and a base that PEFT finds
            (--base-name where the base is a GGUF file)
Each has the chat template of the prompt that it was trained under, a Modelfile,
and a card with base, licence, principles, data and evaluations.
The folder must not be there yet. Beside the data it holds README.md (a card),
of data sets dataset_info.json (for LLaMA-Factory: dataset_dir is the folder),
axolotl.yaml, the prompt of the run's adapter (selfalign.json and
chat_template.jinja) and manifest.json, with the SHA-256 of every input and output.)";

struct ExportFlags {
  std::string run;  // or a model
  std::string stage;
  std::string form = "messages";
  std::string model;
  std::string type;
  std::string adapter;
  std::string base_name;
  std::string output;
};

// The adapter of the stage that the flags name, else the last one.
std::string adapter_of(const ExportFlags& flags) {
  if (flags.stage.empty()) return last_adapter(flags.run);
  for (const auto& [name, folder] : adapters_of_run(flags.run)) {
    if (name == flags.stage) return folder;
  }
  throw Error(ErrorKind::kInput,
              str(flags.run, ": this run has no adapter ", flags.stage,
                  "; see what it has with: selfalign status ", flags.run));
}

void export_model(const ExportFlags& flags, const Shell& shell) {
  const bool is_run = recipe::is_run_folder(flags.run);
  if (!is_run && !flags.stage.empty()) {
    throw Error(
        ErrorKind::kUsage,
        str("--stage: expected a run folder beside it, found ", flags.run));
  }
  if (is_run && !flags.adapter.empty()) {
    throw Error(ErrorKind::kUsage,
                "--adapter: expected a base model beside it, found a run; name "
                "one of its adapters with --stage");
  }
  exports::ModelOptions options;
  options.model = flags.model;
  options.type = exports::number_type(flags.type);
  options.base = flags.run;
  options.adapter = flags.adapter;
  options.base_name = flags.base_name;
  options.folder = flags.output;
  options.program = "selfalign " SELFALIGN_VERSION;
  std::unique_ptr<store::Reader> store;
  recipe::Recipe recipe;
  if (is_run) {
    store = store::Reader::open(flags.run);
    recipe = recipe_of_run(flags.run);
    options.base = recipe.model_for(recipe::Role::kTrain).path;
    options.adapter = adapter_of(flags);
    options.run = store.get();
    options.recipe = &recipe;
    options.evaluations = report::evaluations_markdown(flags.run);
  }
  if (generate::is_remote_model(options.base)) {
    throw Error(ErrorKind::kUsage,
                options.base +
                    ": expected a model on this machine, found a server's, "
                    "whose weights stay there");
  }
  const exports::ModelReport report = local::export_model(options);
  if (shell.json) {
    write_json(Json{{"output", flags.output},
                    {"model", flags.model},
                    {"tensors", report.num_tensors},
                    {"merged", report.num_merged},
                    {"files", report.files}});
    return;
  }
  log_info(str(flags.output, ": ", flags.model, ", ", report.num_tensors,
               " tensors",
               options.adapter.empty() || report.num_tensors == 0
                   ? std::string()
                   : str(", of which the tuning changed ", report.num_merged)));
}

void export_run(const ExportFlags& flags, const Shell& shell) {
  if (!flags.model.empty()) return export_model(flags, shell);
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
      "export",
      "Instructions and answers as a dataset folder, or the model itself");
  auto flags = std::make_shared<ExportFlags>();
  command->add_option("run", flags->run, "run folder; of a model also a base")
      ->required();
  command->add_option("--stage", flags->stage, "engraved, verbose or tuned")
      ->check(CLI::IsMember({"engraved", "verbose", "tuned"}));
  CLI::Option* form =
      command
          ->add_option("--form", flags->form,
                       "alpaca, sharegpt, messages or parquet")
          ->check(CLI::IsMember({"alpaca", "sharegpt", "messages", "parquet"}))
          ->capture_default_str();
  CLI::Option* model =
      command
          ->add_option("--model", flags->model,
                       "the model: merged, gguf or adapter")
          ->check(CLI::IsMember(
              {exports::kMerged, exports::kGguf, exports::kAdapter}))
          ->excludes(form);
  command
      ->add_option("--type", flags->type,
                   "numbers of the model: f32, f16, bf16, q8_0, q4_0; without "
                   "it those of the base, of a quantised one f32")
      ->needs(model);
  command
      ->add_option("--adapter", flags->adapter,
                   "PEFT folder, where a base is exported and no run")
      ->needs(model);
  command
      ->add_option("--base-name", flags->base_name,
                   "what the exported adapter calls its base, a hub's name or "
                   "a folder")
      ->needs(model);
  command->add_option("--output", flags->output, "folder to make")->required();
  command->footer(kFooter);
  set_action(*command, shell, [flags, &shell] { export_run(*flags, shell); });
}

}  // namespace selfalign::cli
