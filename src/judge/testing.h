// SPDX-License-Identifier: Apache-2.0
// For tests: a judge that says what it is told to.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "eval/testing.h"
#include "generate/scripted.h"
#include "judge/judge.h"

namespace selfalign::judge {

// A judge that says what a script does, under the project's own prompts.
class ScriptedJudge {
 public:
  using Script = std::function<std::string(const generate::Request&)>;

  // Good until the next call.
  JudgeOptions options(Script script, const std::string& layout) {
    generate::ScriptedOptions scripted;
    scripted.script = std::move(script);
    generator_ = generate::make_scripted_generator(scripted);
    JudgeOptions options;
    options.name = "scripted";
    options.generator = generator_.get();
    options.prompts = load_judge_prompts("prompts", "");
    options.layout = options.prompts.layouts.at(layout);
    return options;
  }

 private:
  std::unique_ptr<generate::Generator> generator_;
};

}  // namespace selfalign::judge
