// SPDX-License-Identifier: Apache-2.0
// The API over models: which path does what. Knows nothing of sockets.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "recipe/prompts.h"
#include "serve/api_request.h"
#include "serve/call.h"
#include "serve/exchange.h"
#include "serve/metrics.h"

namespace selfalign::serve {

// A model to serve, opened.
struct ModelSpec {
  std::string id;      // the name clients ask for
  std::string parent;  // id of the base model of an adapter; "": none
  std::unique_ptr<generate::Generator> generator;
  std::shared_ptr<const text::Tokenizer> tokenizer;
  int max_context = 4096;
  recipe::ChatPrompt chat;      // the layout of its chats
  generate::Sampling sampling;  // of its chats, where a request says nothing
};

struct ServiceOptions {
  RequestLimits limits;
  int max_queued = 1024;  // rows that wait, for each model
};

class Service {
 public:
  // At least one model; the first is taken where a request names none. Error
  // kUsage for a name given twice.
  Service(std::vector<ModelSpec> specs, const ServiceOptions& options,
          Metrics& metrics);
  ~Service();

  // Answers, now or later. Any thread; throws nothing.
  void handle(const std::shared_ptr<Exchange>& exchange);

  // From now on /health says that the server is going.
  void drain() { draining_ = true; }

  // That it answers, for the metrics.
  static std::vector<std::string> paths();

 private:
  struct Route;
  static const std::vector<Route>& routes();

  void dispatch(const std::shared_ptr<Exchange>& exchange);
  const Model& find_model(const std::string& id) const;

  void complete(const std::shared_ptr<Exchange>& exchange);
  void chat(const std::shared_ptr<Exchange>& exchange);
  void list_models(const std::shared_ptr<Exchange>& exchange);
  void show_model(Exchange& exchange, const std::string& id) const;
  void tokenize(const std::shared_ptr<Exchange>& exchange);
  void detokenize(const std::shared_ptr<Exchange>& exchange);
  void tokenizer_info(const std::shared_ptr<Exchange>& exchange);
  void health(const std::shared_ptr<Exchange>& exchange);
  void show_metrics(const std::shared_ptr<Exchange>& exchange);
  Json model_json(const Model& model) const;

  ServiceOptions options_;
  Metrics& metrics_;
  int64_t started_ = 0;  // seconds since 1970
  std::vector<std::unique_ptr<Model>> models_;
  std::atomic<bool> draining_ = false;
};

}  // namespace selfalign::serve
