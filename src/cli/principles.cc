#include "stages/principles.h"

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/commands.h"
#include "cli/lines.h"
#include "store/store.h"

namespace selfalign::cli {
namespace {

constexpr char kFooter[] =
    R"(Which principles the internal thoughts named, and where:
  selfalign principles runs/smollm2-demo
  selfalign principles runs/smollm2-demo --csv >principles.csv
  selfalign principles runs/smollm2-demo --json | jq .never

First a line per rule: rows kept and rejected whose thought names it, its share
of all kept rows, of Self-Instruct's and of red-teaming's. Then the matrix of
types of question and rules. Mentions are counted by form: whole (3 (helpful)),
number_only, name_only, misspelt, wrong_number (the name counts), unknown.)";

void print_principles(const std::string& folder, bool csv, const Shell& shell) {
  const std::unique_ptr<store::Store> store =
      store::Store::open(folder, store::OpenMode::kReadOnly);
  const stages::PrincipleUse use =
      stages::principle_use(*store, stages::load_prompts(folder + "/prompts"));
  if (shell.json) {
    write_json(stages::principles_json(use));
  } else {
    write_out(csv ? stages::principles_csv(use) : stages::principles_text(use));
  }
}

}  // namespace

void add_principles(CLI::App& app, Shell& shell) {
  CLI::App* command = app.add_subcommand(
      "principles", "Which principles fired, by type of question");
  auto folder = std::make_shared<std::string>();
  auto csv = std::make_shared<bool>(false);
  command->add_option("run", *folder, "run folder")->required();
  command->add_flag("--csv", *csv, "the matrix as CSV, a line per cell");
  command->footer(kFooter);
  command->callback([folder, csv, &shell] {
    shell.action = [folder, csv, &shell] {
      print_principles(*folder, *csv, shell);
    };
  });
}

}  // namespace selfalign::cli
