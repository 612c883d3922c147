// SPDX-License-Identifier: Apache-2.0
#include "inspect/noise.h"

#include "base/counted.h"
#include "base/error.h"
#include "stages/likelihood.h"
#include "stages/row_reading.h"

namespace selfalign::inspect {
namespace {

// What can still be lowered or switched on.
std::string changes(const recipe::Recipe& recipe) {
  const recipe::InstructOptions& instruct = recipe.instruct;
  std::string text;
  const auto add = [&text](const std::string& change) {
    text += (text.empty() ? "" : ", ") + change;
  };
  if (instruct.sampling.temperature > 0.7 || instruct.sampling.top_p > 0.9) {
    add(str("lower instruct.sampling to temperature 0.7 and top_p 0.9 (now ",
            rounded(instruct.sampling.temperature, 2), " and ",
            rounded(instruct.sampling.top_p, 2), ")"));
  }
  if (recipe.profile == "default" && !instruct.strict_form) {
    add("set instruct.strict_form");
  }
  if (recipe.profile == "default" && instruct.opening_words == 0) {
    add("set instruct.opening_words (3, say)");
  }
  if (recipe.profile == "default" &&
      instruct.min_log_likelihood <= recipe::kNoLikelihood) {
    add("set instruct.min_log_likelihood (-35, say)");
  }
  add("give plainer seeds under prompts_overlay, or take a larger model");
  return text;
}

}  // namespace

Noise measure_noise(const store::Reader& store, const std::string& profile) {
  Noise noise;
  double sum = 0.0;
  for (const char* stage : {"instruct.requests", "redteam.requests"}) {
    store.scan(stage, "", [&](const store::SeenRow& seen) {
      if (!seen.completion) return true;
      noise.num_tokens += seen.completion->completion.num_tokens;
      sum += seen.completion->completion.logprob;
      return true;
    });
  }
  if (noise.num_tokens > 0) {
    noise.mean_logprob = sum / double(noise.num_tokens);
  }
  for (const char* stage : {"instruct.tasks", "redteam.questions"}) {
    noise.num_made += store.num_rows(stage);
    for (const auto& [reason, count] :
         store.rejections(stage, stages::filter_of(store, stage, profile))) {
      if (reason == "incoherent") noise.num_incoherent += count;
    }
  }
  return noise;
}

std::string noise_advice(const Noise& noise, const recipe::Recipe& recipe) {
  std::string found;
  if (noise.num_tokens > 0 && noise.mean_logprob < kNoisyLogprob) {
    found =
        str("The model gives the instructions that it wrote a mean "
            "log-probability of ",
            rounded(noise.mean_logprob, 1), " a token (under ",
            rounded(kNoisyLogprob, 1), "), so they are likely to be noise");
  }
  const double share =
      noise.num_made ? double(noise.num_incoherent) / double(noise.num_made)
                     : 0.0;
  if (share > kMaxIncoherent) {
    found += str(found.empty() ? "" : ". ", noise.num_incoherent, " of ",
                 noise.num_made,
                 " instructions and questions were rejected as incoherent");
  }
  if (found.empty()) return "";
  return found + ". Read them; what helps: " + changes(recipe) + ".";
}

}  // namespace selfalign::inspect
