// SPDX-License-Identifier: Apache-2.0
// selfalign: from a base model to a principle-following assistant.
// One pass: read the command line, run what was named, say why it stopped.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <initializer_list>
#include <new>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/processors.h"
#include "base/profile.h"
#include "base/progress.h"
#include "cli/command_line.h"
#include "cli/commands.h"
#include "cli/early_terminal.h"
#include "cli/lines.h"
#include "cli/options.h"
#include "cli/version.h"
#include "generate/remote_key.h"
#include "model/aten.h"
#include "store/checks.h"

namespace selfalign::cli {
namespace {

constexpr char kFooter[] = R"(Start here:
  selfalign run recipes/smollm2-demo.yaml     all four stages, some minutes
  selfalign preview recipes/smollm2.yaml      a handful of rows and a forecast
  selfalign status runs/smollm2-demo          how far it is, what was rejected
  selfalign show runs/smollm2-demo align.pairs:0
                                              one row, from principle to answer
  selfalign chat runs/smollm2-demo --compare   base model and assistant, in turn

Each command has its own help: selfalign help chat
Results go to stdout, messages to stderr.
Exit codes: 0 done, 1 failed, 2 wrong command line or recipe, 3 bad input
  data, 4 not enough memory or disk, 5 damaged run folder, 75 interrupted:
  the same command goes on.)";

using AddCommand = void (*)(CLI::App&, Shell&);

// By what one wants to do; the help shows them so.
void declare_commands(CLI::App& app, Shell& shell) {
  const auto add = [&](const char* group,
                       std::initializer_list<AddCommand> commands) {
    for (const AddCommand command : commands) {
      command(app, shell);
      app.get_subcommands({}).back()->group(group);
    }
  };
  add("Make an assistant",
      {add_run, add_resume, add_adopt, add_preview, add_recipe, add_train});
  add("Look at a run",
      {add_status, add_show, add_search, add_sample, add_stats, add_principles,
       add_profiles, add_review, add_report, add_verify});
  add("Compare and evaluate",
      {add_evaluate, add_judge, add_diff, add_ablate, add_contamination});
  add("Use a model", {add_chat, add_serve, add_generate, add_score,
                      add_tokenize, add_inspect, add_doctor});
  add("Data",
      {add_import, add_export, add_annotations, add_backup, add_restore});
}

void declare(CLI::App& app, Shell& shell) {
  app.set_version_flag("--version", version_text());
  app.add_flag("--json", shell.json,
               "results and messages as JSON, one object a line");
  app.add_flag("-q,--quiet", shell.quiet,
               "warnings and errors only, no progress");
  app.add_option("--profile", shell.profile,
                 "write to FILE where time goes, for ui.perfetto.dev")
      ->type_name("FILE");
  app.add_flag_callback(
      "--key-over-http", [] { generate::set_key_over_http(true); },
      "let the key of a server on another machine go there unencrypted");
  app.require_subcommand(1);
  app.fallthrough();
  app.footer(kFooter);
  declare_commands(app, shell);
  expand_home_folders(app);
}

// A hostile file's names and values may be as long as the file.
int fail(ErrorKind kind, const std::string& text) {
  constexpr size_t kMaxBytes = size_t{64} << 10;
  const bool whole = text.size() <= kMaxBytes;
  log_error(whole ? text
                  : str(text.substr(0, kMaxBytes), "... (",
                        text.size() - kMaxBytes, " more bytes)"));
  return static_cast<int>(kind);
}

// Where a run that was read is not what this program wrote, that is why.
int fail_over_runs(ErrorKind kind, const std::string& text) {
  const std::string damage = store::find_damage();
  if (damage.empty()) return fail(kind, text);
  return fail(ErrorKind::kDamaged, damage + " (it led to: " + text + ")");
}

int fail_torch(const c10::Error& error) {
  const std::string text = error.what_without_backtrace();
  const bool memory =
      dynamic_cast<const c10::OutOfMemoryError*>(&error) != nullptr ||
      text.find("can't allocate memory") != std::string::npos;
  if (!memory) return fail(ErrorKind::kFailed, "torch: " + text);
  return fail(ErrorKind::kResources,
              "there is not enough memory for the model and its context: " +
                  text.substr(0, text.find('\n')) +
                  "; use fewer --slots, a smaller --max-context or bfloat16");
}

// Runs the action and turns whatever ends it into an exit code.
int perform(const Shell& shell) {
  try {
    const Profile profile(shell.profile);
    shell.action();
    stop_if_interrupted(shell.resume_hint.c_str());
    return 0;
  } catch (const BrokenPipe&) {
    return 0;  // the reader has all it wanted
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kInterrupted) {
      log_warning(error.what());
      return static_cast<int>(error.kind());
    }
    if (error.kind() == ErrorKind::kDamaged) {
      return fail(error.kind(), error.what());
    }
    return fail_over_runs(error.kind(), error.what());
  } catch (const c10::Error& error) {
    return fail_torch(error);
  } catch (const std::bad_alloc&) {
    return fail_over_runs(ErrorKind::kResources,
                          "there is not enough memory for this command; use "
                          "fewer --slots or a smaller --max-context");
  } catch (const std::exception& error) {
    return fail_over_runs(ErrorKind::kFailed, error.what());
  }
}

// What the person set for OpenMP holds: its library read it by itself, and a
// binding has narrowed this thread's mask already.
void set_threads() {
  for (const char* name : {"OMP_NUM_THREADS", "OMP_PROC_BIND", "OMP_PLACES",
                           "GOMP_CPU_AFFINITY"}) {
    if (std::getenv(name) != nullptr) return;
  }
  at::set_num_threads(available_cores());
}

// Help and version, or what is wrong with the command line.
int finish_parsing(const CLI::App& app, const CLI::ParseError& error) {
  std::ostringstream out, problem;
  const int code = app.exit(error, out, problem);
  try {
    write_out(out.str());
  } catch (const BrokenPipe&) {  // the reader has all it wanted
  }
  std::string text = problem.str();
  while (text.ends_with('\n')) text.pop_back();
  return code == 0 ? 0 : fail(ErrorKind::kUsage, text);
}

int run(int argc, char** argv) {
  CLI::App app(
      "selfalign: principle-driven self-alignment of a language model, "
      "from fewer than 300 lines of human writing (Sun et al. 2023)",
      "selfalign");
  Shell shell;
  declare(app, shell);
  std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
  // What is wrong with the line is said in the same form.
  set_log_json(std::find(words.begin(), words.end(), "--json") != words.end());
  try {
    const auto commands = app.get_subcommands({});
    std::vector<std::string> names;
    names.reserve(commands.size());
    for (const CLI::App* command : commands) {
      names.push_back(command->get_name());
    }
    words = command_line(std::move(words), names);
    std::reverse(words.begin(), words.end());  // as CLI11 takes them
    app.parse(std::move(words));
  } catch (const CLI::ParseError& error) {
    return finish_parsing(app, error);
  } catch (const Error& error) {
    return fail(error.kind(), error.what());
  }
  set_log_json(shell.json);
  if (shell.quiet) {
    set_log_level(LogLevel::kWarning);
    set_progress_shown(false);
  }
  set_threads();
  return perform(shell);
}

}  // namespace
}  // namespace selfalign::cli

int main(int argc, char** argv) {
  selfalign::install_interrupt_handlers();
  const int code = selfalign::cli::run(argc, argv);
  // A command that reads lines took it before main (early_terminal.cc).
  selfalign::cli::give_terminal_back();
  return code;
}
