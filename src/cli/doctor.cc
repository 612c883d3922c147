// SPDX-License-Identifier: Apache-2.0
#include "local/doctor.h"

#include <CLI/CLI.hpp>
#include <memory>

#include "base/counted.h"
#include "base/error.h"
#include "base/json.h"
#include "cli/commands.h"
#include "cli/lines.h"

namespace selfalign::cli {
namespace {

constexpr char kFooter[] =
    R"(What this machine and a model are good for, before anything is loaded:
  selfalign doctor                   processor, memory, disk
  selfalign doctor some/hf/folder    and a model: family, tensors, tokenizer,
                                     known traps, memory to generate and tune
  selfalign doctor model.gguf
Ends with 3 where a model cannot be used, and says why.)";

void examine(const std::string& model, const Shell& shell) {
  std::vector<local::Finding> findings = local::examine_machine(".");
  if (!model.empty()) {
    const local::ModelExam exam = local::examine_model(model);
    findings.insert(findings.end(), exam.findings.begin(), exam.findings.end());
  }
  int64_t problems = 0;
  for (const local::Finding& finding : findings) {
    problems += finding.level == local::Level::kProblem ? 1 : 0;
    const std::string level = local::level_name(finding.level);
    if (shell.json) {
      write_json({{"level", level}, {"text", finding.text}});
    } else {
      write_out(
          str(level, std::string(9 - level.size(), ' '), finding.text, "\n"));
    }
  }
  if (problems == 0) return;
  throw Error(ErrorKind::kInput,
              str(counted(problems, "problem"),
                  problems == 1 ? " stands" : " stand", " above"));
}

}  // namespace

void add_doctor(CLI::App& app, Shell& shell) {
  CLI::App* command = app.add_subcommand(
      "doctor", "What this machine and a model are good for");
  auto model = std::make_shared<std::string>();
  command->add_option("model", *model, "HF folder or GGUF file");
  command->footer(kFooter);
  command->callback([model, &shell] {
    shell.action = [model, &shell] { examine(*model, shell); };
  });
}

}  // namespace selfalign::cli
