// SPDX-License-Identifier: Apache-2.0
#include "cli/judge_model.h"

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <filesystem>

#include "base/error.h"
#include "base/log.h"
#include "cli/assistant.h"
#include "cli/evaluation_prompts.h"
#include "cli/options.h"
#include "eval/items.h"
#include "formats/peft.h"
#include "recipe/chat.h"
#include "recipe/run_files.h"

namespace selfalign::cli {
namespace {

namespace fs = std::filesystem;

constexpr char kChatMark[] = "<|im_start|>";

// A judge's adapter is asked under the prompt it was trained with.
judge::JudgeLayout form_layout(const std::string& adapter,
                               const std::string& model) {
  const Assistant assistant = assistant_of({adapter, "auto", "", "", model});
  const recipe::ChatPrompt& chat = assistant.prompt;
  constexpr char kPlace[] = "{instruction}";
  const size_t at = chat.user.find(kPlace);
  return {assistant.form, chat.prompt + chat.user.substr(0, at), "\n\n",
          chat.user.substr(at + sizeof kPlace - 1) + chat.answer, chat.stop};
}

std::string published_prompts(const std::string& data) {
  if (data.empty()) return "";
  try {
    return eval::find_data(data, "judge_prompts.jsonl");
  } catch (const Error& error) {
    log_info(str("prompts/judge.yaml is used: ", error.what()));
    return "";
  }
}

}  // namespace

void JudgeFlags::add(CLI::App& command) {
  command.add_option("--judge-adapter", model.adapter,
                     "PEFT adapter folder, merged into the judge");
  command.add_option("--name", given_name,
                     "of the judge in results; else from --judge");
  command.add_option("--prompts", prompts,
                     "folder with judge.yaml; else the run's own, or prompts/");
  command
      .add_option(
          "--layout", layout,
          "how the judge is asked: auto (the adapter's own form, chatml "
          "where the model knows its marks, else plain), plain, chatml; over a "
          "chat API its messages")
      ->check(CLI::IsMember({"auto", "plain", "chatml"}))
      ->capture_default_str();
  command.add_option("--max-tokens", max_new_tokens, "of a judgement")
      ->check(in_range(ranges::kMaxNewTokens))
      ->capture_default_str();
  model.add_compute(command);
  model.add_engine(command);
  model.add_api(command);
  model.add_price(command);
}

const std::vector<const char*>& JudgeFlags::of_models() {
  static const std::vector<const char*> all = {
      "--judge-adapter", "--prompts", "--layout",       "--max-tokens",
      "--device",        "--dtype",   "--weights",      "--slots",
      "--max-context",   "--api",     "--api-key-file", "--price"};
  return all;
}

std::string JudgeFlags::name() const {
  std::string name = given_name;
  if (!name.empty()) eval::require_name("--name", name);
  if (judge != "human" && name.starts_with("human.")) {
    throw Error(ErrorKind::kUsage,
                str("--name: expected the name of a model, found '", name,
                    "', as people are named in results; take another"));
  }
  if (name.empty() && judge == "human") {
    const char* user = std::getenv("USER");
    name = user != nullptr && *user != '\0' ? user : "person";
  }
  if (name.empty()) {
    const size_t mark = judge.find_last_of("/#");
    name = mark == std::string::npos ? judge : judge.substr(mark + 1);
  }
  for (char& c : name) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                       (c >= 'A' && c <= 'Z') || c == '.' || c == '-';
    if (!plain) c = '_';
  }
  if (name.empty() || name[0] == '.') name = "judge" + name;
  return judge == "human" ? "human." + name : name;
}

void JudgeFlags::use(const recipe::ModelOptions& named,
                     const CLI::App& command) {
  judge = named.place();
  model.model = model.over(named, command);
}

std::string run_of_evaluation(const std::string& folder) {
  const std::string parent = (fs::absolute(folder) / "")
                                 .lexically_normal()
                                 .parent_path()
                                 .parent_path();
  return recipe::is_run_folder(parent) ? parent : "";
}

OpenJudge::OpenJudge(const JudgeFlags& flags, const std::string& folder) {
  judge::JudgeOptions options;
  options.name = flags.name();
  options.prompts = judge::load_judge_prompts(
      find_prompts_with("judge.yaml", flags.prompts, run_of_evaluation(folder)),
      published_prompts(flags.data));
  // A recipe's may be several servers, which `judge` names all.
  const recipe::ModelOptions model = flags.model.model.servers.empty()
                                         ? flags.model.model_at(flags.judge)
                                         : flags.model.model;
  is_remote_ = model.is_served();
  generator_ = workbench_.open_generator(model, flags.model.adapter);
  asked_ = {"judge", options.name, flags.judge, model.price};
  options.generator = generator_.get();
  if (!is_remote()) options.tokenizer = workbench_.tokenizer(flags.judge);
  options.layout = layout_of(flags, options.prompts, options.tokenizer.get());
  options.max_new_tokens = flags.max_new_tokens;
  log_ = std::make_unique<eval::ItemLog>(folder + "/judgements/" +
                                         options.name + ".jsonl");
  judge_ = std::make_unique<judge::Judge>(options, log_.get());
}

judge::JudgeLayout OpenJudge::layout_of(const JudgeFlags& flags,
                                        const judge::JudgePrompts& prompts,
                                        const text::Tokenizer* words) const {
  // Its text names the request; what is sent are the messages.
  if (generator_->chats_only()) return {"chat", "", "\n\n", "", {}};
  if (flags.layout != "auto") return prompts.layouts.at(flags.layout);
  if (!flags.model.adapter.empty() || formats::is_tuned_model(flags.judge)) {
    return form_layout(flags.model.adapter, flags.judge);
  }
  const bool knows_marks = words != nullptr
                               ? words->token_id(kChatMark) >= 0
                               : generator_->count_tokens(kChatMark) == 1;
  return prompts.layouts.at(knows_marks ? "chatml" : "plain");
}

void warn_of_failures(const std::string& what, int64_t num_failures,
                      int64_t num_asked) {
  if (num_failures * 5 <= num_asked) return;
  log_warning(str(what, ": ", num_failures, " of ", num_asked,
                  " without a verdict that can be read; look at what the judge "
                  "wrote in judgements/, give it more room (--max-tokens) or "
                  "take a judge that keeps to the form"));
}

}  // namespace selfalign::cli
