// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include "base/error.h"
#include "generate/prompt_tokens.h"
#include "serve/call.h"

namespace selfalign::serve {
namespace {

constexpr int kDefaultMaxTokens = 16;  // of /v1/completions, as the API has it
constexpr int64_t kMaxLogprobs = int64_t{1} << 23;  // about 1 GB as JSON

[[noreturn]] void throw_too_long(const std::string& found, int max_context) {
  throw ApiError(
      400,
      str("prompt: expected less than the model's context length of ",
          max_context, " tokens, found ", found, "; shorten it"),
      "context_length_exceeded", "prompt");
}

// Before the text is tokenized, which takes long where it is long.
void check_bound(size_t min_tokens, const Model& model) {
  if (min_tokens <= static_cast<size_t>(model.max_context)) return;
  throw_too_long(str("at least ", min_tokens), model.max_context);
}

void check_ids(const std::vector<int>& ids, const char* param, int vocab) {
  for (const int id : ids) {
    if (id < vocab) continue;
    throw ApiError(
        400, str(param, ": expected token ids below ", vocab, ", found ", id),
        "invalid_value", param);
  }
}

void check_biases(const Ask& ask, int vocab) {
  if (ask.sampling.logit_bias.empty()) return;
  check_ids({ask.sampling.logit_bias.rbegin()->first}, "logit_bias", vocab);
}

// An assistant answers as it does elsewhere, but for what the request says.
void use_defaults(const generate::Sampling& defaults, Ask& ask) {
  generate::Sampling sampling = defaults;
  ask.given.put(sampling);
  ask.sampling.temperature = sampling.temperature;
  ask.sampling.top_p = sampling.top_p;
  ask.sampling.repetition_penalty = sampling.repetition_penalty;
  if (ask.sampling.ngram_penalty.empty()) {
    ask.sampling.ngram_penalty = sampling.ngram_penalty;
  }
  ask.sampling.ban_eos = ask.sampling.ban_eos || sampling.ban_eos;
}

bool has_bos(const text::Tokenizer& tokenizer) {
  return tokenizer.adds_bos() && tokenizer.bos() >= 0;
}

// Once: the model is given the tokens, too.
void tokenize(const text::Tokenizer& tokenizer, generate::Request& request) {
  request.tokenized = std::make_shared<const generate::PromptTokens>(
      generate::tokenize_prompt(request, tokenizer));
}

PlannedPrompt plan_prompt(const Prompt& prompt, const Model& model) {
  const text::Tokenizer& tokenizer = *model.tokenizer;
  PlannedPrompt planned;
  if (prompt.is_tokens) {
    // Before their text is made, which may be a hundred times as long.
    if (prompt.tokens.size() > static_cast<size_t>(model.max_context)) {
      throw_too_long(str(prompt.tokens.size()), model.max_context);
    }
    check_ids(prompt.tokens, "prompt", tokenizer.size());
    planned.tokens = prompt.tokens;
    for (const int id : prompt.tokens) {
      planned.text += tokenizer.decode_token(id, true);
    }
    planned.request.prompt_tokens = prompt.tokens;
  } else {
    planned.text = prompt.text;
    planned.has_bos = has_bos(tokenizer);
    planned.request.suffix = prompt.text;
    tokenize(tokenizer, planned.request);
    const std::vector<int>& ids = planned.request.tokenized->ids;
    planned.tokens.assign(ids.begin() + (planned.has_bos ? 1 : 0), ids.end());
  }
  planned.num_tokens =
      static_cast<int>(planned.tokens.size()) + (planned.has_bos ? 1 : 0);
  return planned;
}

// Room for one more token where one is asked for.
void check_room(const Plan& plan) {
  for (const PlannedPrompt& prompt : plan.prompts) {
    const int wanted = plan.ask.max_tokens.value_or(1) > 0 ? 1 : 0;
    if (prompt.num_tokens + wanted > plan.max_context) {
      throw_too_long(str(prompt.num_tokens), plan.max_context);
    }
    if (plan.scores_prompts() && prompt.num_tokens == 0) {
      throw ApiError(
          400, "prompt: there is no token to echo with its log-probability",
          "invalid_value", "prompt");
    }
  }
}

// An answer is held as a whole until it is sent.
void check_logprobs(const Plan& plan) {
  if (plan.ask.num_top_logprobs < 0) return;
  int64_t count = 0;
  for (size_t i = 0; i < plan.prompts.size(); ++i) {
    count += plan.max_tokens(i) + (plan.echo ? plan.prompts[i].num_tokens : 0);
  }
  count *= int64_t{plan.ask.n} * (1 + plan.ask.num_top_logprobs);
  if (count <= kMaxLogprobs) return;
  throw ApiError(
      400,
      str("logprobs: expected at most ", kMaxLogprobs,
          " log-probabilities in one answer (tokens times those of each), "
          "found up to ",
          count, "; ask for fewer tokens, or in several requests"),
      "too_many_logprobs", plan.is_chat ? "top_logprobs" : "logprobs");
}

bool is_plain_greedy(const generate::Sampling& sampling) {
  return sampling.temperature == 0 && sampling.stop.empty() &&
         sampling.logit_bias.empty() && sampling.repetition_penalty == 1 &&
         !sampling.ban_eos;
}

}  // namespace

int Plan::max_tokens(size_t prompt) const {
  const int room = max_context - prompts[prompt].num_tokens;
  return std::min(room, ask.max_tokens.value_or(default_max_tokens));
}

bool Plan::generates(size_t prompt) const {
  return !scores_next && max_tokens(prompt) > 0;
}

Plan plan_completion(CompletionAsk ask, const Model& model) {
  Plan plan;
  plan.max_context = model.max_context;
  plan.default_max_tokens = kDefaultMaxTokens;
  plan.echo = ask.echo;
  check_biases(ask, model.tokenizer->size());
  for (const Prompt& prompt : ask.prompts) {
    check_bound(model.tokenizer->min_tokens(prompt.text), model);
  }
  for (const Prompt& prompt : ask.prompts) {
    plan.prompts.push_back(plan_prompt(prompt, model));
  }
  plan.ask = std::move(ask);
  check_room(plan);
  check_logprobs(plan);
  plan.scores_next = plan.scores_prompts() && plan.ask.max_tokens == 1 &&
                     is_plain_greedy(plan.ask.sampling);
  return plan;
}

Plan plan_chat(ChatAsk ask, const Model& model) {
  Plan plan;
  plan.is_chat = true;
  plan.max_context = model.max_context;
  plan.default_max_tokens = model.sampling.max_new_tokens;
  use_defaults(model.sampling, ask);
  check_biases(ask, model.tokenizer->size());
  PlannedPrompt prompt;
  prompt.request = model.form.render(ask.messages);
  check_bound(generate::min_prompt_tokens(prompt.request, *model.tokenizer),
              model);
  prompt.has_bos = has_bos(*model.tokenizer);
  tokenize(*model.tokenizer, prompt.request);
  prompt.num_tokens = static_cast<int>(prompt.request.tokenized->ids.size());
  plan.prompts.push_back(std::move(prompt));
  plan.ask = std::move(ask);
  for (const std::string& stop : model.form.stop()) {
    plan.ask.sampling.stop.push_back(stop);
  }
  check_room(plan);
  check_logprobs(plan);
  return plan;
}

}  // namespace selfalign::serve
