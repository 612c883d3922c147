// SPDX-License-Identifier: Apache-2.0
#include "recipe/annotations.h"

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/lines.h"
#include "cli/run_folder.h"
#include "eval/choice_prompts.h"
#include "judge/judge_prompts.h"
#include "recipe/prompts.h"

namespace selfalign::cli {
namespace {

constexpr char kFooter[] = R"(How much a person had to write:
  selfalign annotations
  selfalign annotations my/prompts

Counted as the paper's Table 1 does: seed tasks, adversarial question types,
principles and exemplars, an item each. What stands below the total was also
written by a person and is not counted there. Every file is checked on the
way, so this is also how to check prompts that were edited.)";

Json counts_json(const recipe::Annotations& counted, bool in_table) {
  Json counts = Json::object();
  for (const recipe::AnnotationCount& one : counted.counts) {
    if (one.in_table == in_table) counts[one.what] = one.count;
  }
  return counts;
}

std::string lines_of(const Json& counts) {
  std::string out;
  for (const auto& [what, count] : counts.items()) {
    const std::string number = dump_json(count);
    out += std::string(6 - std::min<size_t>(number.size(), 6), ' ') + number +
           "  " + what + "\n";
  }
  return out;
}

// Those that are there: a run's copy has none.
void check_evaluation_prompts(const std::string& folder) {
  const auto check = [&folder](const char* file, const auto& load) {
    if (std::filesystem::exists(recipe::prompt_path(folder, {}, file))) load();
  };
  check("judge.yaml", [&] { judge::load_judge_prompts(folder, ""); });
  check("evaluation.yaml", [&] { eval::load_choice_prompts(folder); });
  check("truthfulqa_preset.yaml",
        [&] { eval::load_truthfulqa_preset(folder); });
}

void print_annotations(const std::string& folder, const Shell& shell) {
  const std::string path = find_prompts(folder, "");
  const recipe::Annotations counted =
      recipe::count_annotations(recipe::load_prompts(path));
  check_evaluation_prompts(path);
  const Json table = counts_json(counted, true);
  const Json beside = counts_json(counted, false);
  if (shell.json) {
    write_json(Json{{"prompts", path},
                    {"counts", table},
                    {"total", counted.total},
                    {"not_counted", beside}});
    return;
  }
  write_out(lines_of(table) +
            lines_of(Json{{"total, as the paper's Table 1", counted.total}}) +
            "not counted there:\n" + lines_of(beside));
}

}  // namespace

void add_annotations(CLI::App& app, Shell& shell) {
  CLI::App* command = app.add_subcommand(
      "annotations", "Count what a person wrote; check edited prompts");
  auto folder = std::make_shared<std::string>();
  command->add_option("prompts", *folder,
                      "folder of the prompts; default prompts/");
  command->footer(kFooter);
  set_action(*command, shell,
             [folder, &shell] { print_annotations(*folder, shell); });
}

}  // namespace selfalign::cli
