// SPDX-License-Identifier: Apache-2.0
// The subcommands. Each add_x declares one: its options, its help, and the
// action that main runs once the whole command line is parsed.
#pragma once

#include <CLI/App.hpp>
#include <functional>
#include <string>

namespace selfalign::cli {

// What main and the subcommands share.
struct Shell {
  bool json = false;    // --json: messages and results as JSON
  bool quiet = false;   // --quiet: warnings and errors only, no progress
  std::string profile;  // --profile FILE: where time went (base/profile.h)
  // Set by the callback of the subcommand that was named.
  std::function<void()> action;
  // Ends the text when an interrupt stops the action: how to go on.
  std::string resume_hint = "run the same command again";
};

// What the command does once the whole command line is parsed.
inline void set_action(CLI::App& command, Shell& shell,
                       const std::function<void()>& action) {
  command.callback([action, &shell] { shell.action = action; });
}

void add_run(CLI::App& app, Shell& shell);
void add_adopt(CLI::App& app, Shell& shell);
void add_resume(CLI::App& app, Shell& shell);
void add_status(CLI::App& app, Shell& shell);
void add_backup(CLI::App& app, Shell& shell);
void add_restore(CLI::App& app, Shell& shell);
void add_verify(CLI::App& app, Shell& shell);
void add_chat(CLI::App& app, Shell& shell);
void add_serve(CLI::App& app, Shell& shell);
void add_generate(CLI::App& app, Shell& shell);
void add_score(CLI::App& app, Shell& shell);
void add_tokenize(CLI::App& app, Shell& shell);
void add_train(CLI::App& app, Shell& shell);
void add_judge(CLI::App& app, Shell& shell);
void add_inspect(CLI::App& app, Shell& shell);
void add_doctor(CLI::App& app, Shell& shell);
void add_report(CLI::App& app, Shell& shell);
void add_show(CLI::App& app, Shell& shell);
void add_ablate(CLI::App& app, Shell& shell);
void add_principles(CLI::App& app, Shell& shell);
void add_preview(CLI::App& app, Shell& shell);
void add_diff(CLI::App& app, Shell& shell);
void add_search(CLI::App& app, Shell& shell);
void add_stats(CLI::App& app, Shell& shell);
void add_sample(CLI::App& app, Shell& shell);
void add_review(CLI::App& app, Shell& shell);
void add_evaluate(CLI::App& app, Shell& shell);
void add_export(CLI::App& app, Shell& shell);
void add_profiles(CLI::App& app, Shell& shell);
void add_recipe(CLI::App& app, Shell& shell);
void add_contamination(CLI::App& app, Shell& shell);
void add_annotations(CLI::App& app, Shell& shell);
void add_import(CLI::App& app, Shell& shell);

}  // namespace selfalign::cli
