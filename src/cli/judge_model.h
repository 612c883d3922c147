// SPDX-License-Identifier: Apache-2.0
// A judge that is a model, as the commands name it that have one: opened, and
// asked in the layout it knows.
#pragma once

#include <CLI/App.hpp>
#include <memory>
#include <string>
#include <vector>

#include "cli/model_flags.h"
#include "eval/costs.h"
#include "judge/judge.h"
#include "local/workbench.h"

namespace selfalign::cli {

struct JudgeFlags {
  std::string judge;  // path or address, or "human"
  std::string given_name;
  std::string data;  // folder that may hold judge_prompts.jsonl, or ""
  std::string prompts;
  std::string layout = "auto";
  int max_new_tokens = 512;
  ModelFlags model;

  JudgeFlags() { model.model.num_slots = 32; }

  // A recipe's judge, with what `command` was given of it in its place.
  void use(const recipe::ModelOptions& named, const CLI::App& command);

  // --judge-adapter, --name, --prompts, --layout, --max-tokens and those of
  // models; --judge is the command's own.
  void add(CLI::App& command);
  // Those but --name, which say how a model judges.
  static const std::vector<const char*>& of_models();
  // The name of the judge in results and files. Error kUsage for a --name that
  // cannot be one, or that is a person's where a model judges.
  std::string name() const;
};

// The run that the evaluation in `folder` is of, "" where it is of none.
std::string run_of_evaluation(const std::string& folder);

class OpenJudge {
 public:
  // Judgements are logged in `folder`/judgements/NAME.jsonl. Our own prompts
  // are those of the run whose evaluation that is, unless they are named.
  OpenJudge(const JudgeFlags& flags, const std::string& folder);

  judge::Judge& judge() { return *judge_; }
  eval::Asked asked() const { return asked_; }
  bool is_remote() const { return is_remote_; }

 private:
  // `words`: of a model of this machine.
  judge::JudgeLayout layout_of(const JudgeFlags& flags,
                               const judge::JudgePrompts& prompts,
                               const text::Tokenizer* words) const;

  local::LocalWorkbench workbench_;
  eval::Asked asked_;
  bool is_remote_ = false;
  std::unique_ptr<generate::Generator> generator_;
  std::unique_ptr<eval::ItemLog> log_;
  std::unique_ptr<judge::Judge> judge_;
};

// Warns where more than one in five of `num_asked` judgements has no verdict.
void warn_of_failures(const std::string& what, int64_t num_failures,
                      int64_t num_asked);

}  // namespace selfalign::cli
