// SPDX-License-Identifier: Apache-2.0
#include "eval/choice_prompts.h"

#include "recipe/prompts.h"
#include "recipe/yaml.h"

namespace selfalign::eval {
namespace {

using recipe::YamlMap;
using recipe::YamlMistakes;

ChoicePrompt read_prompt(YamlMap map, const text::Values& places) {
  ChoicePrompt prompt;
  map.require("user").get("user", prompt.user);
  map.require("begin").get("begin", prompt.begin);
  map.require("choices").get("choices", prompt.choices);
  if (prompt.choices.size() != 2) {
    map.mistake("choices", "expected two choices");
  }
  try {
    text::fill_template(prompt.user, places, "user");
  } catch (const std::exception& error) {
    map.mistake("user", error.what());
  }
  map.done();
  return prompt;
}

}  // namespace

ChoicePrompts load_choice_prompts(const std::string& folder) {
  const std::string path = recipe::prompt_path(folder, {}, "evaluation.yaml");
  YamlMistakes mistakes(path);
  YamlMap map(recipe::load_yaml(path), "", mistakes);
  ChoicePrompts prompts;
  map.require("true_false").require("letters");
  prompts.true_false =
      read_prompt(map.map("true_false"), {{"question", ""}, {"answer", ""}});
  prompts.letters = read_prompt(map.map("letters"),
                                {{"input", ""}, {"first", ""}, {"second", ""}});
  map.done();
  mistakes.throw_if_any();
  return prompts;
}

std::string load_truthfulqa_preset(const std::string& folder) {
  const std::string path =
      recipe::prompt_path(folder, {}, "truthfulqa_preset.yaml");
  YamlMistakes mistakes(path);
  YamlMap map(recipe::load_yaml(path), "", mistakes);
  map.require("pairs");
  std::string preset;
  for (const YAML::Node& node : map.items("pairs")) {
    YamlMap pair(node, "pairs", mistakes);
    std::string question;
    std::string answer;
    pair.require("question").get("question", question);
    pair.require("answer").get("answer", answer);
    pair.done();
    preset += "Q: " + question + "\nA: " + answer + "\n\n";
  }
  map.done();
  mistakes.throw_if_any();
  return preset;
}

generate::ScoreRequest choice_request(const Subject& subject,
                                      const ChoicePrompt& prompt,
                                      const text::Values& values) {
  generate::ScoreRequest request;
  request.context = subject.form->context(
      text::fill_template(prompt.user, values, "evaluation.yaml"));
  if (!prompt.begin.empty()) {
    request.context += answer_start(request.context) + prompt.begin;
  }
  request.continuations = prompt.choices;
  return request;
}

}  // namespace selfalign::eval
