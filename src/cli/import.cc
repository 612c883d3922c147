// SPDX-License-Identifier: Apache-2.0
#include "recipe/import/import.h"

#include <CLI/CLI.hpp>
#include <memory>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "cli/commands.h"
#include "cli/lines.h"
#include "cli/run_folder.h"
#include "eval/import_questions.h"

namespace selfalign::cli {
namespace {

constexpr char kFooter[] = R"(Use what others published in place of our prompts:
  selfalign import dromedary/prompts --output imported
  selfalign import watson_self_align_prompt.txt seed_tasks.jsonl --output imported
and in a recipe:
  prompts_overlay: imported
Or questions, of seeds, samples, datasets or lines of text, to evaluate on:
  selfalign import seed_questions.jsonl samples.txt --questions mine.jsonl
  selfalign evaluate RUN --questions mine.jsonl

A file is recognized by its content, not its name: Self-Align prompts (rules and
conversations with internal thoughts), seed tasks and red-teaming questions as
JSON lines, the prompts of stage 1, short chat prompts, identity rows. Of two
files for the same part the first is taken. What they do not say stays as in our
files; the result is checked as a run would, and left in files to edit.)";

struct ImportFlags {
  std::vector<std::string> paths;
  std::string output;
  std::string questions;
  std::string prompts;
};

void print_report(const recipe::ImportReport& report, const Shell& shell) {
  if (shell.json) {
    Json files = Json::array();
    for (const recipe::ImportedFile& file : report.files) {
      files.push_back({{"path", file.path},
                       {"became", file.became},
                       {"left_out", file.left_out}});
    }
    write_json(Json{{"files", std::move(files)},
                    {"written", report.written},
                    {"notes", report.notes}});
    return;
  }
  std::string text;
  for (const recipe::ImportedFile& file : report.files) {
    text += file.path + "\n";
    if (!file.became.empty()) text += "  " + file.became + "\n";
    if (!file.left_out.empty()) text += "  left out: " + file.left_out + "\n";
  }
  for (const std::string& note : report.notes) text += "note: " + note + "\n";
  write_out(text);
}

void import_questions(const ImportFlags& flags, const Shell& shell) {
  const eval::ImportedQuestions report =
      eval::import_questions(flags.paths, flags.questions);
  if (shell.json) {
    write_json(Json{{"questions", report.num_questions},
                    {"empty", report.num_empty},
                    {"repeated", report.num_repeated},
                    {"numbered", report.numbered}});
    return;
  }
  write_out(str(flags.questions, ": ", report.num_questions, " questions",
                report.numbered ? ", numbered from 1" : "",
                "; left out: ", report.num_empty, " rows without one, ",
                report.num_repeated, " repeated\n"));
  log_info(
      str("ask them: selfalign evaluate RUN --questions ", flags.questions));
}

void import_paths(const ImportFlags& flags, const Shell& shell) {
  if (flags.output.empty() == flags.questions.empty()) {
    throw Error(ErrorKind::kUsage,
                "import: expected --output FOLDER for prompts or --questions "
                "FILE for questions, found both or neither");
  }
  if (!flags.questions.empty()) return import_questions(flags, shell);
  const recipe::ImportReport report = recipe::import_prompts(
      flags.paths, find_prompts(flags.prompts, ""), flags.output);
  print_report(report, shell);
  log_info(str(report.written.size(), " files in ", flags.output,
               "; in a recipe: prompts_overlay: ", flags.output));
}

}  // namespace

void add_import(CLI::App& app, Shell& shell) {
  CLI::App* command = app.add_subcommand(
      "import", "Turn published prompts and seeds into prompt files");
  auto flags = std::make_shared<ImportFlags>();
  command
      ->add_option("paths", flags->paths, "files, or folders with such files")
      ->required();
  command->add_option("--output", flags->output,
                      "folder for the files; they must not be there yet");
  command->add_option("--questions", flags->questions,
                      "file for open questions instead, for evaluate; it must "
                      "not be there yet");
  command->add_option("--prompts", flags->prompts,
                      "folder of our prompts, for the rest; default prompts/");
  command->footer(kFooter);
  set_action(*command, shell, [flags, &shell] { import_paths(*flags, shell); });
}

}  // namespace selfalign::cli
