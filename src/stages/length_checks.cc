// SPDX-License-Identifier: Apache-2.0
#include "stages/length_checks.h"

#include <vector>

#include "base/error.h"
#include "recipe/prompts.h"
#include "recipe/run_files.h"
#include "recipe/yaml.h"

namespace selfalign::stages {
namespace {

// A number of the recipe that has to suffice for a prompt.
struct Length {
  const char* key;
  int64_t given;
  int64_t needed;
  const char* of;  // what takes so many tokens
};

// The fewest tokens of a sample under the prompt: one of the instruction and
// one of the answer.
int64_t shortest_sample(const recipe::ChatPrompt& prompt,
                        const CountTokens& count) {
  return count(prompt.prompt + recipe::chat_turn(prompt, "")) + 2;
}

std::vector<Length> lengths_of(const recipe::Recipe& recipe,
                               const recipe::Prompts& prompts,
                               const CountTokens& count) {
  constexpr const char* kSample = "the short prompt with a turn";
  const char* const context = "model.max_context";
  const int64_t max_context = recipe.model.max_context;
  std::vector<Length> lengths;
  if (recipe.has("align")) {
    lengths.push_back(
        {context, max_context,
         count(align_prefix(prompts) + recipe::align_suffix(prompts, "")) +
             recipe.align.sampling.max_new_tokens,
         "stage align's prompt and align.sampling.max_new_tokens"});
  }
  if (recipe.has("engrave")) {
    lengths.push_back({"engrave.max_length", recipe.engrave.max_length,
                       shortest_sample(prompts.engraved, count), kSample});
  }
  if (recipe.has("verbose")) {
    const recipe::ChatPrompt& asked = prompts.verbose_distill;
    lengths.push_back(
        {context, max_context,
         count(asked.prompt + recipe::chat_turn(asked, "")) +
             recipe.verbose.sampling.max_new_tokens,
         "stage verbose's prompt and verbose.sampling.max_new_tokens"});
    lengths.push_back({"final.max_length", recipe.final.max_length,
                       shortest_sample(prompts.verbose, count), kSample});
  }
  if (recipe.has("tune")) {
    lengths.push_back({"tune.max_length", recipe.tune.max_length,
                       shortest_sample(prompts.tuned, count), kSample});
  }
  return lengths;
}

}  // namespace

void check_lengths(const recipe::Recipe& recipe, const std::string& file,
                   const CountTokens& count) {
  recipe::YamlMistakes mistakes(file);
  for (const Length& length :
       lengths_of(recipe, recipe::fitting_prompts(recipe), count)) {
    if (length.given >= length.needed) continue;
    mistakes.add(recipe::nearest_place(recipe::load_yaml(file), length.key),
                 str(length.key, ": expected at least ", length.needed,
                     " tokens, which ", length.of, " take, found ",
                     length.given, "; raise it, or shorten the prompt"));
  }
  mistakes.throw_if_any();
}

}  // namespace selfalign::stages
