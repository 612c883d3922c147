// SPDX-License-Identifier: Apache-2.0
#include "replay/ablate.h"

#include <CLI/CLI.hpp>
#include <memory>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/lines.h"
#include "cli/run_folder.h"
#include "local/workbench.h"
#include "text/plain_text.h"

namespace selfalign::cli {
namespace {

constexpr char kFooter[] = R"(What a principle or an exemplar does:
  selfalign ablate runs/smollm2-demo --drop-rule 7
  selfalign ablate runs/smollm2-demo --drop-exemplar 2 -n 50
  selfalign ablate runs/smollm2-demo \
      --add-rule "brevity: Sage answers in as few words as the task allows."
  selfalign ablate runs/smollm2-demo -n 50      nothing changed: the control

Rows of stage 2 are answered again under the edited prompt with the same draws,
in RUN/ablations/NAME; the run itself is only read. Compared are texts, rules in
the thoughts, rows kept and rejected by reason, and lengths. Rules behind a
dropped one move up by one, in the exemplars as well. An ablation that was
stopped goes on with the same command. Examples of --add-exemplar number the
rules as they stand after the edit.)";

struct AblateFlags {
  std::string run;
  std::vector<std::string> add_rules;
  replay::AblateOptions options;
};

recipe::Principle parse_rule(const std::string& text) {
  if (const auto flaw = text::find_line_flaw(text)) {
    throw Error(ErrorKind::kUsage, "--add-rule: " + *flaw);
  }
  const size_t colon = text.find(':');
  const size_t begin = colon == std::string::npos
                           ? colon
                           : text.find_first_not_of(' ', colon + 1);
  if (colon == 0 || begin == std::string::npos) {
    throw Error(ErrorKind::kUsage,
                str("--add-rule: expected NAME:TEXT, found \"", text, "\""));
  }
  return {text.substr(0, colon), text.substr(begin)};
}

void run_ablation(AblateFlags flags, Shell& shell) {
  for (const std::string& rule : flags.add_rules) {
    flags.options.edit.add_rules.push_back(parse_rule(rule));
  }
  const std::unique_ptr<store::Reader> run = store::Reader::open(flags.run);
  const recipe::Recipe recipe = recipe_of_run(flags.run);
  local::LocalWorkbench workbench;
  workbench.check_model(recipe.model_for(recipe::Role::kAlign), "", false);
  const auto report = replay::ablate(recipe, *run, flags.options, workbench);
  write_result(shell.json, to_json(report), replay::ablation_text(report));
}

}  // namespace

void add_ablate(CLI::App& app, Shell& shell) {
  CLI::App* command = app.add_subcommand(
      "ablate", "Drop or add a principle or an exemplar, and compare");
  auto flags = std::make_shared<AblateFlags>();
  recipe::PromptEdit& edit = flags->options.edit;
  command->add_option("run", flags->run, "run folder")->required();
  command->add_option("--drop-rule", edit.drop_rules, "number, from 1");
  command->add_option("--add-rule", flags->add_rules, "NAME:TEXT");
  command->add_option("--drop-exemplar", edit.drop_exemplars, "number, from 1");
  command->add_option("--add-exemplar", edit.add_exemplars,
                      "YAML file like prompts/exemplars.yaml");
  command
      ->add_option("-n,--rows", flags->options.num_rows,
                   "rows, drawn; default: all")
      ->check(CLI::PositiveNumber);
  command->add_option("--name", flags->options.name,
                      "of the folder; default: from the edit");
  command->footer(kFooter);
  set_action(*command, shell, [flags, &shell] { run_ablation(*flags, shell); });
}

}  // namespace selfalign::cli
