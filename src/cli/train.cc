// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <filesystem>
#include <map>
#include <memory>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "cli/commands.h"
#include "cli/lines.h"
#include "cli/model_flags.h"
#include "cli/options.h"
#include "cli/run_folder.h"
#include "cli/setting_flags.h"
#include "cli/unused_options.h"
#include "local/training_samples.h"
#include "local/workbench.h"
#include "recipe/chat.h"
#include "recipe/decoding.h"
#include "stages/adapter_prompt.h"
#include "stages/conversations.h"
#include "stages/start_checks.h"

namespace selfalign::cli {
namespace {

constexpr char kFooter[] = R"(Tune a LoRA adapter on a dataset of your own:
  selfalign train answers.jsonl --model MODEL --output tuned
  selfalign chat MODEL --adapter tuned/adapter

The dataset is JSON lines, one array, or JSON over several lines. A row is a
dialogue (messages or conversations: role and content, or from and value) or a
task: instruction, input, output (Alpaca); instruction, context, response
(Dolly); prompt, completion; Self-Instruct seed tasks. Its system and history
become turns, weights of 0 leave answers out of the loss. Rows that cannot be
used are counted by reason and left out, too long ones too; docs/formats.md has
the list. The loss
is on every text of the assistant and the end-of-text token after it; a
conversation of several turns is one sample. The prompt before it is the short
one of prompts/meta.yaml (--form), or a system turn of the dataset where it has
one.

--output then holds adapter/ (PEFT, and the prompt it was trained under: see
docs/formats.md), or with --method full, which trains all weights and takes 16
bytes of memory for each, model/ (an HF folder); metrics.jsonl, tensorboard/ and
the last checkpoint. Stopped at any time, the same command goes on to the same
result.)";

struct TrainFlags {
  ModelFlags model;
  TuneOptions tune;
  recipe::TrainerOptions trainer;
  std::string dataset;
  std::string output;
  std::string prompts;
  std::string form = "final";
};

std::string result_path(const TrainFlags& flags) {
  return std::filesystem::path(flags.output) / flags.tune.result_folder();
}

Json report_json(const stages::TuneReport& report, const std::string& path,
                 const char* result,
                 const std::map<std::string, int64_t>& rejected) {
  Json json = {{result, path},
               {"digest", report.digest},
               {"samples", report.num_samples},
               {"rejected", rejected},
               {"truncated", report.num_truncated},
               {"response_tokens", report.num_tokens},
               {"steps", report.num_steps},
               {"loss_is_over", "samples"},
               {"loss_before", report.loss_before},
               {"loss_after", report.loss_after}};
  if (report.validation_before) {
    json["validation_before"] = *report.validation_before;
    json["validation_after"] = *report.validation_after;
  }
  return json;
}

// What would be without effect, or fail at the end.
void check_flags(const TrainFlags& flags, const CLI::App& command) {
  if (flags.trainer.is_command() == flags.trainer.command.empty()) {
    throw Error(ErrorKind::kUsage,
                "--with command and --command LINE belong together: give both "
                "or neither");
  }
  if (!flags.tune.is_full()) return;
  refuse_given(
      command,
      {"--rank", "--alpha", "--dropout", "--target-modules", "--use-rslora",
       "--rank-pattern", "--alpha-pattern", "--weights"},
      "with --method full, which trains all weights as they are");
}

void train(const TrainFlags& flags, const Shell& shell) {
  const recipe::ChatPrompt prompt =
      recipe::read_chat_prompt(find_prompts(flags.prompts, ""), flags.form);
  stages::check_can_write(flags.output);
  local::LocalWorkbench workbench;
  workbench.check_model(flags.model.model, "", true);
  if (flags.tune.is_full() && !flags.trainer.is_command()) {
    workbench.check_full(flags.model.model, flags.tune);
  }
  std::vector<stages::GivenConversation> rows =
      stages::read_conversations(flags.dataset);
  stages::reject_too_long(
      rows,
      workbench.fit(flags.model.model, flags.tune,
                    stages::conversation_samples(rows, prompt)),
      flags.tune.max_length);
  stages::warn_of_problems(flags.dataset, rows);
  const std::vector<stages::TrainingSample> samples =
      local::training_samples(rows, prompt);
  if (flags.form != "none") {
    log_info(str("every conversation stands under the prompt ", flags.form,
                 " of prompts/meta.yaml; --form none leaves it out"));
  }
  const stages::TuneReport report = workbench.tune(
      flags.model.model, flags.tune, flags.trainer, samples, flags.output);
  stages::write_adapter_prompt(
      result_path(flags),
      {flags.form, prompt, recipe::comparison_sampling(),
       "local " + workbench.weights(flags.model.model)->digest},
      flags.model.model.path);
  const Json json =
      report_json(report, result_path(flags), flags.tune.result_folder(),
                  stages::count_problems(rows));
  if (shell.json) {
    write_json(json);
    return;
  }
  for (const auto& [name, value] : json.items()) {
    write_out(
        name + ": " +
        (value.is_string() ? value.get<std::string>() : dump_json(value)) +
        "\n");
  }
}

}  // namespace

void add_train(CLI::App& app, Shell& shell) {
  CLI::App* command = app.add_subcommand(
      "train", "Tune a LoRA adapter, or all weights, on a dataset");
  auto flags = std::make_shared<TrainFlags>();
  command
      ->add_option("dataset", flags->dataset,
                   "conversations, JSON or JSON lines; forms see below")
      ->required();
  command
      ->add_option("--model", flags->model.model.path, "HF folder or GGUF file")
      ->required();
  command
      ->add_option("--output", flags->output,
                   "folder for adapter, metrics and checkpoints")
      ->required();
  command->add_option("--prompts", flags->prompts,
                      "folder with meta.yaml; else prompts/");
  command
      ->add_option("--form", flags->form,
                   "short prompt before every conversation: engraved, "
                   "final, tuned or none")
      ->check(CLI::IsMember({"engraved", "final", "tuned", "none"}))
      ->capture_default_str();
  flags->tune.batch_size = 32;
  FlagMaker flag(*command);
  TuneOptions::describe(flag, flags->tune);
  recipe::TrainerOptions::describe(flag, flags->trainer);
  flags->model.add_compute(*command);
  command->footer(kFooter);
  set_action(*command, shell, [flags, command, &shell] {
    check_flags(*flags, *command);
    shell.resume_hint =
        "run the same command again: it goes on from the "
        "checkpoint in " +
        flags->output;
    train(*flags, shell);
  });
}

}  // namespace selfalign::cli
