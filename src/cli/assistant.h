// SPDX-License-Identifier: Apache-2.0
// How a model is asked unless somebody says otherwise: the one answer for the
// terminal, `generate`, the server with its page, evaluations and judges.
#pragma once

#include <string>

#include "generate/generator.h"
#include "recipe/prompts.h"

namespace selfalign::cli {

// What a command was given.
struct AssistantChoice {
  std::string adapter;        // PEFT folder, "": a base model
  std::string form = "auto";  // of chat_forms(), or auto
  std::string prompts;        // folder with meta.yaml, "": none was named
  std::string run;            // run folder, if one was named
  // Without an adapter: a model, which may have been tuned whole.
  std::string model = {};
};

struct Assistant {
  std::string form;
  recipe::ChatPrompt prompt;
  generate::Sampling sampling;  // without stop strings
};

// Auto: of an adapter the prompt it carries (stages/adapter_prompt.h), or, in a
// run made before they did, that of its tuning; of a base model the layout of
// the turns alone. The prompts of a named form, and of any where `prompts` is
// given, come from a folder of prompts. The sampling is what the adapter
// carries, else what its run compares models by, else comparison_sampling().
// Error kUsage for an adapter that does not say how it was trained, in auto.
Assistant assistant_of(const AssistantChoice& choice);

}  // namespace selfalign::cli
