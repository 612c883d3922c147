// SPDX-License-Identifier: Apache-2.0
// What a model server is asked, as JSON of its API; learns what a server does
// not take.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "generate/generator.h"
#include "generate/remote_address.h"

namespace selfalign::generate {

class RemoteBody {
 public:
  // `api` is not kAuto. `members`: an object, whose members stand in every
  // body, beside the request's own.
  RemoteBody(std::string model, RemoteApi api, Json members = Json::object())
      : model_(std::move(model)), api_(api), members_(std::move(members)) {}

  // The body of the request, without what was refused before.
  //
  // /completions: prefix and suffix as one prompt. /chat/completions: the
  // request's messages; a request without messages is a text to go on with,
  // which becomes the user's turn under a system message that asks for what
  // comes next. The API takes four stop strings. ngram_penalty for n = 1 is its
  // frequency penalty; longer n-grams are not penalized (warned of once).
  // repetition_penalty and ban_eos (ignore_eos) are extensions of vLLM and
  // llama.cpp.
  std::string write(const Request& request);

  // Reads the refusal of `body`. True if it names something that can be asked
  // otherwise, which write() does from then on, with one warning each: members
  // beyond the API, or of it, that the model does not take (temperature of
  // OpenAI's reasoning models) are left out, max_tokens becomes
  // max_completion_tokens, a system message goes before the user's first turn.
  bool learn(const std::string& body, const std::string& refusal);

 private:
  Json messages_of(const Request& request) const;
  void put(Json& body, const char* name, const Json& value) const;
  void put_penalties(Json& body, const Sampling& sampling);
  void put_logprobs(Json& body, const Request& request) const;
  bool is_refused(const std::string& name) const;
  bool drop(const std::string& name);
  bool learn_extensions(const std::string& body, const std::string& refusal);
  bool learn_length(const std::string& body, const std::string& refusal);
  bool learn_system(const std::string& body, const std::string& refusal);
  bool learn_member(const std::string& body, const std::string& refusal);

  std::string model_;
  RemoteApi api_;
  Json members_;
  std::vector<std::string> refused_;
  bool folds_system_ = false;
  bool warned_of_ngrams_ = false;
};

}  // namespace selfalign::generate
