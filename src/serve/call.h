// SPDX-License-Identifier: Apache-2.0
// One request for completions on its way: the rows it asks of a model, their
// results as they come, and the answer, whole or as a stream of events.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "serve/api_error.h"
#include "serve/api_reply.h"
#include "serve/api_request.h"
#include "serve/chat_form.h"
#include "serve/exchange.h"
#include "serve/metrics.h"
#include "serve/worker.h"
#include "text/tokenizer.h"

namespace selfalign::serve {

// A model under a name.
struct Model {
  std::string id;
  std::string parent;  // the model it is an adapter of; "": none
  std::shared_ptr<const text::Tokenizer> tokenizer;
  int max_context = 0;  // tokens of prompt and completion
  ChatForm form;
  generate::Sampling sampling;  // of its chats, where a request says nothing
  std::unique_ptr<Worker> worker;
};

// What a request becomes before a worker gets it: pure, and apart so that it
// can be tested and fuzzed. All throw ApiError.
struct PlannedPrompt {
  generate::Request request;  // without key, callbacks and max_new_tokens
  std::string text;           // as it is echoed
  std::vector<int> tokens;    // as they are echoed
  bool has_bos = false;       // before them
  int num_tokens = 0;         // BOS included
};
struct Plan {
  Ask ask;
  bool is_chat = false;
  bool echo = false;
  std::vector<PlannedPrompt> prompts;
  // The one token after each prompt is read from its scores: greedy, one token
  // and an echo with log-probabilities, which is how benchmarks ask.
  bool scores_next = false;

  bool scores_prompts() const { return echo && ask.num_top_logprobs >= 0; }
  bool generates(size_t prompt) const;
  int max_tokens(size_t prompt) const;  // resolved: at most what has room
  size_t num_choices() const {
    return prompts.size() * static_cast<size_t>(ask.n);
  }
  int max_context = 0;
  int default_max_tokens = 0;  // where the request says none
};
Plan plan_completion(CompletionAsk ask, const Model& model);
Plan plan_chat(ChatAsk ask, const Model& model);

// Gives the plan's rows to the model's worker; the answer goes to the exchange.
// ApiError 503 if the queue is full.
void start_call(Plan plan, const Model& model,
                const std::shared_ptr<Exchange>& exchange, Metrics& metrics);

// Sends an error in the API's form.
void reply_error(Exchange& exchange, const ApiError& error);

}  // namespace selfalign::serve
