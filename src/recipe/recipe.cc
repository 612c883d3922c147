#include "recipe/recipe.h"

#include <algorithm>

namespace selfalign::recipe {

bool Recipe::has(const std::string& stage) const {
  return std::find(stages.begin(), stages.end(), stage) != stages.end();
}

int64_t Recipe::num_identity(int64_t num_rows, int64_t num_pairs) const {
  const int64_t wanted = num_rows * identity_repeats;
  if (identity_share >= 1.0) return wanted;
  const double most =
      identity_share / (1.0 - identity_share) * double(num_pairs);
  return std::min(wanted, int64_t(most + 1e-9));
}

Recipe default_recipe() {
  Recipe recipe;
  // Paper, section 3.1: "temperature 1.0, top-p 0.98", no end-of-text.
  recipe.instruct.sampling.temperature = 1.0;
  recipe.instruct.sampling.top_p = 0.98;
  recipe.instruct.sampling.max_new_tokens = 512;
  recipe.instruct.sampling.ban_eos = true;
  recipe.instruct.topic_sampling = recipe.instruct.sampling;
  recipe.instruct.question_sampling = recipe.instruct.sampling;
  recipe.align.sampling.temperature = 0.5;
  recipe.align.sampling.top_p = 0.9;
  recipe.align.sampling.max_new_tokens = 256;
  recipe.verbose.sampling.temperature = 0.3;
  recipe.verbose.sampling.top_p = 0.7;
  recipe.verbose.sampling.max_new_tokens = 512;
  recipe.verbose.sampling.repetition_penalty = 1.1;
  recipe.final.max_length = 768;
  return recipe;
}

}  // namespace selfalign::recipe
