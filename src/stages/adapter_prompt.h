// SPDX-License-Identifier: Apache-2.0
// The prompt that an adapter was trained under, beside its weights: whoever
// gets the folder, under whatever name, asks the model as it was taught.
//
//   selfalign.json        this program's: the prompt's texts, and the sampling
//                         that an assistant answers with unless asked otherwise
//   chat_template.jinja   the same layout for programs that render templates
//   tokenizer_config.json (transformers, vLLM); beside it the base's tokenizer
//                         files, where the base is an HF folder
#pragma once

#include <optional>
#include <string>

#include "generate/generator.h"
#include "recipe/prompts.h"

namespace selfalign::stages {

struct AdapterPrompt {
  std::string form;  // its name among chat_forms(): "final"
  recipe::ChatPrompt prompt;
  generate::Sampling sampling;  // without stop strings
  std::string base;             // fingerprint of the base model, "": not known
};

// A program that renders Jinja writes of messages what render_chat writes: the
// prompt, or a first system message in its place, then the turns;
// add_generation_prompt as in transformers. `bos`: the token's text, for those
// who render and then tokenize without special tokens (transformers, vLLM).
std::string chat_template(const recipe::ChatPrompt& prompt,
                          const std::string& bos = "");

// Writes the files into `folder`, which is there. `model`: path of the base.
void write_adapter_prompt(const std::string& folder,
                          const AdapterPrompt& adapter,
                          const std::string& model);

// None where the folder has no selfalign.json. Error kInput names the file and
// what is wrong in it, kUsage one of a later version of the format.
std::optional<AdapterPrompt> read_adapter_prompt(const std::string& folder);

}  // namespace selfalign::stages
