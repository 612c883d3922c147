// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <vector>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "cli/assistant.h"
#include "cli/chat_session.h"
#include "cli/commands.h"
#include "cli/lines.h"
#include "cli/model_flags.h"
#include "cli/options.h"
#include "cli/run_folder.h"
#include "cli/sampling_flags.h"
#include "generate/remote_address.h"
#include "local/workbench.h"
#include "recipe/run_files.h"
#include "text/plain_text.h"

namespace selfalign::cli {
namespace {

constexpr char kFooter[] = R"(Talk to a model in the terminal:
  selfalign chat MODEL                        the base model, no prompt at all
  selfalign chat MODEL --adapter runs/smollm2-demo/verbose/adapter
  selfalign chat MODEL --adapter ADAPTER --compare      base and adapter, in turn
  selfalign chat runs/smollm2-demo --compare  a run that is done: its base model
                                              and its last adapter
  selfalign chat runs/smollm2-demo --form multilingual
  selfalign chat http://localhost:8000/v1#NAME --form few-shot
  printf 'Hi!\nWho made you?\n' | selfalign chat MODEL --adapter ADAPTER

A line is a turn; the model sees the turns before it. /clear forgets them,
/exit, /quit or Ctrl-D ends, /help says this. Ctrl-C ends the answer that is being
written, or, at the prompt, the chat. An adapter answers under the short prompt it
was trained with, which it carries in its folder, a base model sees only the layout
of the turns; --form sets another of the short prompts of prompts/meta.yaml, for
both. Both are decoded alike, as the adapter carries it, too. The model of a server
is asked as a chat, in its own layout; --api completions asks it as a text.)";

constexpr char kCommands[] =
    "/exit or Ctrl-D ends, /clear starts anew, /help says this";

struct ChatFlags {
  ModelFlags model;
  bool compare = false;
  std::string prompts;
  std::string form = "auto";
  uint64_t seed = 0;
  recipe::GivenSampling sampling;
  std::string run;  // the model's folder, if it is a run's
};

struct Side {
  std::string name;
  ChatSession session;
};

// The model may be a run: its base model, its last adapter, its prompts.
void resolve_run(ChatFlags& flags) {
  const std::string run = flags.model.model.path;
  if (!recipe::is_run_folder(run)) return;
  const recipe::Recipe recipe = recipe_of_run(run);
  // What is on this machine is asked here, else its servers.
  const recipe::ModelOptions here = recipe.model_for(recipe::Role::kTrain);
  flags.model.model.path = here.is_here() ? here.path : recipe.model.path;
  if (!here.is_here()) flags.model.model.servers = recipe.model.servers;
  if (flags.model.model.api == "auto") {
    flags.model.model.api = recipe.model.api;
  }
  if (flags.model.model.api_key_file.empty()) {
    flags.model.model.api_key_file = recipe.model.api_key_file;
  }
  if (flags.model.adapter.empty()) flags.model.adapter = last_adapter(run);
  flags.run = run;
}

std::vector<Side> open_sides(const ChatFlags& flags,
                             local::LocalWorkbench& workbench) {
  const std::string& adapter = flags.model.adapter;
  const auto choice = [&](const std::string& of) {
    return AssistantChoice{of, flags.form, flags.prompts, flags.run,
                           flags.model.model.path};
  };
  // Both sides are decoded alike: what differs is the model.
  const Assistant assistant = assistant_of(choice(adapter));
  generate::Sampling sampling = assistant.sampling;
  flags.sampling.put(sampling);
  std::vector<Side> sides;
  const auto add = [&](const std::string& name, const std::string& of,
                       const recipe::ChatPrompt& prompt) {
    sides.push_back(
        {name,
         ChatSession(workbench.open_generator(flags.model.model, of), prompt,
                     sampling, flags.model.model.max_context, flags.seed)});
  };
  if (flags.compare || adapter.empty()) {
    // The base is asked in the given form, too: so one sees what tuning adds.
    add("base", "", assistant_of(choice("")).prompt);
  }
  // Recipes call the form of stage 4 after its tuning.
  const std::string name =
      assistant.form == "final" ? "verbose" : assistant.form;
  if (!adapter.empty()) add(name, adapter, assistant.prompt);
  return sides;
}

void say_how_it_ended(const generate::Completion& completion) {
  if (completion.finish == generate::Finish::kLength) {
    log_info("(cut at --max-tokens)");
  } else if (completion.finish == generate::Finish::kNoRoom) {
    log_warning(
        "(no room for an answer; a shorter question, or a larger "
        "--max-context)");
  } else if (generate::is_given_up(completion.finish)) {
    log_warning(str("(no answer: found ", completion.problem, ")"));
  }
}

// The answer, on stdout as it is made; none if an interrupt ended it.
std::optional<generate::Completion> print_answer(Side& side,
                                                 const std::string& user,
                                                 const Shell& shell,
                                                 bool named) {
  if (shell.json) {
    auto completion = side.session.answer(user);
    if (!completion) return std::nullopt;
    write_json(
        Json{{"model", side.name},
             {"user", user},
             {"answer", completion->text},
             {"finish_reason", generate::finish_name(completion->finish)},
             {"num_tokens", completion->num_tokens}});
    return completion;
  }
  if (named) write_out("[" + side.name + "]\n");
  auto completion = side.session.answer(
      user, [](std::string_view piece) { write_out(std::string(piece)); });
  write_out("\n\n");
  if (completion) say_how_it_ended(*completion);
  return completion;
}

// False once the chat shall end.
bool take_turn(std::vector<Side>& sides, const std::string& user,
               const Shell& shell, bool interactive) {
  for (Side& side : sides) {
    const auto completion = print_answer(side, user, shell, sides.size() > 1);
    if (!completion) {  // an interrupt ended the answer
      if (!interactive) return false;
      set_interrupted(false);
      log_info("(stopped)");
      return true;
    }
    if (side.session.num_left_out() > 0) {
      log_info(str("(", side.name, ": the first ", side.session.num_left_out(),
                   " turns no longer fit and are left out)"));
    }
  }
  return true;
}

void chat(ChatFlags flags, const CLI::App& command, const Shell& shell) {
  require_model_or_run(flags.model.model.path);
  resolve_run(flags);
  recipe::ModelOptions& model = flags.model.model;
  flags.model.check_use(command, {model.path});
  if (flags.run.empty() && command.count("--api") == 0 &&
      generate::is_remote_model(model.path)) {
    model.api = "chat";
  }
  if (flags.compare && flags.model.adapter.empty()) {
    throw Error(
        ErrorKind::kUsage,
        "--compare needs an adapter to compare the base with; add --adapter");
  }
  set_stop_note("");
  // Before the models, which take a while: what is typed now is a turn, too.
  LineReader reader;
  const bool interactive = reader.on_terminal();
  local::LocalWorkbench workbench;
  std::vector<Side> sides = open_sides(flags, workbench);
  if (interactive) log_info(kCommands);
  while (true) {
    if (interactive && ::isatty(STDOUT_FILENO) == 1) write_out("> ");
    const std::optional<std::string> line = reader.next();
    if (!line) break;
    if (line->find_first_not_of(" \t") == std::string::npos) continue;
    if (!interactive) text::require_line(*line, reader.where());
    if (const auto flaw = text::find_line_flaw(*line)) {
      log_warning(*flaw);
      continue;
    }
    if (*line == "/exit" || *line == "/quit") return;
    if (*line == "/help") {
      log_info(kCommands);
    } else if (*line == "/clear") {
      for (Side& side : sides) side.session.clear();
      log_info("(cleared)");
    } else if (!take_turn(sides, *line, shell, interactive)) {
      return;
    }
  }
  if (interactive) {
    set_interrupted(false);  // Ctrl-C at the prompt is a way to leave
    if (::isatty(STDOUT_FILENO) == 1) write_out("\n");
  }
}

}  // namespace

void add_chat(CLI::App& app, Shell& shell) {
  CLI::App* command =
      app.add_subcommand("chat", "Talk to a model, or to two side by side");
  auto flags = std::make_shared<ChatFlags>();
  std::vector<std::string> forms = recipe::chat_forms();
  forms.emplace_back("auto");
  flags->model.model.num_slots = 1;
  command
      ->add_option(
          "model", flags->model.model.path,
          "HF folder, GGUF file, http://HOST:PORT/v1#NAME or the folder "
          "of a run")
      ->required();
  command->add_option("--adapter", flags->model.adapter,
                      "PEFT adapter folder, merged into the model");
  command->add_flag("--compare", flags->compare,
                    "answers of base and adapter, one after the other");
  command->add_option("--prompts", flags->prompts,
                      "folder with meta.yaml; else the run's own, or prompts/");
  command
      ->add_option(
          "--form", flags->form,
          "short prompt before the turns: auto (what the adapter was "
          "trained with; none for a base model), engraved, final, "
          "tuned, none, or an inference prompt of meta.yaml: standard, "
          "introduction, concise, verbose, multilingual, few-shot")
      ->check(CLI::IsMember(forms))
      ->capture_default_str();
  add_sampling(*command, flags->sampling,
               "as the adapter or its run says, or 0.7");
  command->add_option("--seed", flags->seed, "another one gives other answers")
      ->capture_default_str();
  flags->model.add_compute(*command);
  flags->model.add_engine(*command);
  flags->model.add_api(*command);
  command->footer(kFooter);
  set_action(*command, shell,
             [flags, &shell, command] { chat(*flags, *command, shell); });
}

}  // namespace selfalign::cli
