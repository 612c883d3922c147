// SPDX-License-Identifier: Apache-2.0
// A model server as it is found: its model and its API, and what a refusal
// says of all that is asked of it.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "generate/http.h"
#include "generate/remote_address.h"
#include "generate/remote_losses.h"
#include "generate/remote_reply.h"

namespace selfalign::generate {

// In a fingerprint, before the adapter of a server that has another name for
// what answers.
inline constexpr char kAsAdapter[] = " as ";

// An adapter that a server's model is to answer with.
struct RemoteAdapter {
  std::string name;    // that it has, or gets, there; "": none
  std::string folder;  // where the server finds the files, as PEFT saves them
  // Whether the server is asked to load it, if it lists none of that name;
  // else it was made to already, under that name or as its only model.
  bool loads = true;
};

class RemoteServer {
 public:
  // Asks for what the address leaves open: Error kUsage where the server does
  // not have the model, or has several and none is named; kFailed where it
  // cannot be asked, or cannot load the adapter.
  RemoteServer(const RemoteAddress& address, const RemoteAdapter& adapter,
               const HttpOptions& options);

  const std::string& base() const { return address_.base; }
  const std::string& model() const { return address_.model; }
  // The model, and " as NAME" of the adapter where its own name is another:
  // what tells its answers from those of the base.
  std::string answers_as() const;
  // Of every request, beside its own: the adapters of llama.cpp's server.
  const Json& members() const { return members_; }
  RemoteApi api() const { return address_.api; }
  bool chats_only() const { return address_.api == RemoteApi::kChat; }
  // Where completions are asked for.
  std::string url() const;

  // As the server counts, else estimated.
  int count_tokens(const std::string& text) const;
  // None where the server has no /tokenize.
  std::optional<std::vector<int>> tokenize(const std::string& text) const;

  // Error kFailed where what was paid for is used up.
  void check_spent(const HttpReply& reply) const;
  Error wrong_key(const HttpReply& reply) const;
  // What may be the address's fault, or the key's.
  void note_refusal(const HttpReply& reply, RemoteLosses& losses) const;

 private:
  void choose_model(const RemoteAdapter& adapter);
  std::vector<ListedModel> ask_models() const;
  void load(const RemoteAdapter& adapter);
  bool choose_llama_adapter(const std::string& name);
  std::optional<HttpReply> ask_to_load(const std::string& url,
                                       const RemoteAdapter& adapter) const;
  void choose_api(const HttpOptions& options);
  void check_account(const HttpReply& reply) const;
  std::string root() const;

  RemoteAddress address_;
  const std::string adapter_;  // its name, if any
  Json members_ = Json::object();
  mutable HttpClient questions_;  // models and counts, one at a time
  mutable bool can_tokenize_ = true;
};

// For requests of rows: what no further try helps goes to the caller.
HttpOptions many_at_a_time(HttpOptions options);
// More than an answer of so many tokens takes, with twenty log-probabilities
// of each, or each as an event of its own.
size_t max_answer_bytes(size_t num_tokens, const HttpOptions& options);

}  // namespace selfalign::generate
