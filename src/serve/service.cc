// SPDX-License-Identifier: Apache-2.0
#include "serve/service.h"

#include <curl/curl.h>

#include <ctime>
#include <exception>
#include <utility>

#include "base/error.h"
#include "base/joined.h"
#include "base/log.h"
#include "generate/prompt_tokens.h"
#include "parse/thoughts.h"
#include "serve/members.h"
#include "serve/page.h"

namespace selfalign::serve {
namespace {

constexpr char kJson[] = "application/json";
constexpr char kModelPath[] = "/v1/models/";
// A token may stand for a hundred bytes, and its text for several of JSON.
constexpr size_t kMaxDetokenized = size_t{1} << 18;

void reply_json(Exchange& exchange, const Json& value) {
  exchange.reply({200, kJson, dump_json(value)});
}

// HEAD asks for what GET would answer. A page of another site cannot send JSON
// under its own type without asking first.
void check_method(const HttpCall& call, const std::string& expected) {
  const bool is_get = expected == "GET";
  if (call.method != expected && !(is_get && call.method == "HEAD")) {
    throw ApiError::not_allowed(
        str(call.path.substr(0, 100), ": expected ", expected, ", found ",
            call.method.substr(0, 20)),
        is_get ? "GET, HEAD" : expected);
  }
  std::string type = parse::trim(call.content_type);
  for (char& c : type) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  if (is_get || type == kJson) return;
  throw ApiError(415, "Content-Type: expected application/json, found another",
                 "wrong_content_type");
}

// "a%20b" is "a b" (RFC 3986, section 2.1); what is no such code stays.
std::string decoded(const std::string& part) {
  int size = 0;
  const std::unique_ptr<char, void (*)(void*)> text(
      curl_easy_unescape(nullptr, part.data(), static_cast<int>(part.size()),
                         &size),
      curl_free);
  return text == nullptr ? "" : std::string(text.get(), size);
}

Json special_text(const text::Tokenizer& tokenizer, int id) {
  return id < 0 ? Json() : Json(tokenizer.decode_token(id, true));
}

}  // namespace

struct Service::Route {
  const char* path;
  const char* method;
  void (Service::*run)(const std::shared_ptr<Exchange>&);
};

const std::vector<Service::Route>& Service::routes() {
  static const std::vector<Route> all = {
      {"/v1/completions", "POST", &Service::complete},
      {"/v1/chat/completions", "POST", &Service::chat},
      {"/v1/models", "GET", &Service::list_models},
      {"/tokenize", "POST", &Service::tokenize},
      {"/detokenize", "POST", &Service::detokenize},
      {"/tokenizer_info", "GET", &Service::tokenizer_info},
      {"/health", "GET", &Service::health},
      {"/metrics", "GET", &Service::show_metrics}};
  return all;
}

std::vector<std::string> Service::paths() {
  std::vector<std::string> names;
  for (const Route& route : routes()) names.emplace_back(route.path);
  for (const PageFile& file : page_files()) names.emplace_back(file.path);
  return names;
}

Service::Service(std::vector<ModelSpec> specs, const ServiceOptions& options,
                 Metrics& metrics)
    : options_(options), metrics_(metrics), started_(std::time(nullptr)) {
  SELFALIGN_CHECK(!specs.empty());
  for (ModelSpec& spec : specs) {
    for (const auto& other : models_) {
      if (other->id != spec.id) continue;
      throw Error(ErrorKind::kUsage,
                  str("two models are named ", spec.id,
                      "; give adapters other names with NAME=FOLDER"));
    }
    models_.push_back(std::make_unique<Model>(
        Model{.id = spec.id,
              .parent = spec.parent,
              .tokenizer = spec.tokenizer,
              .max_context = spec.max_context,
              .form = ChatForm(std::move(spec.chat)),
              .sampling = std::move(spec.sampling),
              .worker = std::make_unique<Worker>(std::move(spec.generator),
                                                 options.max_queued)}));
  }
}

Service::~Service() = default;

void Service::handle(const std::shared_ptr<Exchange>& exchange) {
  try {
    dispatch(exchange);
  } catch (const ApiError& error) {
    reply_error(*exchange, error);
  } catch (const Error& error) {  // of the generator's check
    reply_error(*exchange, ApiError(400, error.what(), "invalid_value"));
  } catch (const std::exception& error) {
    log_error(str("serve: ", exchange->call().path, ": ", error.what()));
    reply_error(*exchange,
                ApiError(500, "the server failed; its log says why"));
  }
}

void Service::dispatch(const std::shared_ptr<Exchange>& exchange) {
  const HttpCall& call = exchange->call();
  if (call.path.starts_with(kModelPath)) {
    check_method(call, "GET");
    return show_model(*exchange,
                      decoded(call.path.substr(sizeof(kModelPath) - 1)));
  }
  if (const PageFile* file = find_page_file(call.path)) {
    check_method(call, "GET");
    return exchange->reply({200, file->content_type, file->text});
  }
  for (const Route& route : routes()) {
    if (call.path != route.path) continue;
    check_method(call, route.method);
    return (this->*route.run)(exchange);
  }
  throw ApiError(404,
                 "path: expected /v1/completions, /v1/chat/completions, "
                 "/v1/models, /tokenize, /detokenize, /tokenizer_info, "
                 "/health or /metrics, found another",
                 "not_found");
}

const Model& Service::find_model(const std::string& id) const {
  if (id.empty()) return *models_.front();
  for (const auto& model : models_) {
    if (model->id == id) return *model;
  }
  const auto name = [](const auto& model) { return model->id; };
  throw ApiError(404,
                 str("model: expected one of ", joined(models_, ", ", name),
                     ", found ", shown(Value(id.substr(0, 60)))),
                 "model_not_found", "model");
}

void Service::complete(const std::shared_ptr<Exchange>& exchange) {
  CompletionAsk ask = parse_completion(exchange->call().body, options_.limits);
  const Model& model = find_model(ask.model);
  start_call(plan_completion(std::move(ask), model), model, exchange, metrics_);
}

void Service::chat(const std::shared_ptr<Exchange>& exchange) {
  ChatAsk ask = parse_chat(exchange->call().body, options_.limits);
  const Model& model = find_model(ask.model);
  start_call(plan_chat(std::move(ask), model), model, exchange, metrics_);
}

Json Service::model_json(const Model& model) const {
  return {{"id", model.id},
          {"object", "model"},
          {"created", started_},
          {"owned_by", "selfalign"},
          {"parent", model.parent.empty() ? Json() : Json(model.parent)},
          {"max_model_len", model.max_context},
          {"sampling", recipe::to_json(model.sampling)}};
}

void Service::list_models(const std::shared_ptr<Exchange>& exchange) {
  Json list = Json::array();
  for (const auto& model : models_) list.push_back(model_json(*model));
  reply_json(*exchange, {{"object", "list"}, {"data", std::move(list)}});
}

void Service::show_model(Exchange& exchange, const std::string& id) const {
  if (id.empty())
    throw ApiError(404, "path: expected /v1/models or /v1/models/ID",
                   "not_found");
  reply_json(exchange, model_json(find_model(id)));
}

void Service::tokenize(const std::shared_ptr<Exchange>& exchange) {
  const TokenizeAsk ask =
      parse_tokenize(exchange->call().body, options_.limits);
  const Model& model = find_model(ask.model);
  const text::Tokenizer& tokenizer = *model.tokenizer;
  std::vector<int> ids;
  if (ask.is_chat) {  // what a user wrote is never a special token
    ids = generate::tokenize_prompt(model.form.render(ask.messages), tokenizer)
              .ids;
  } else {
    ids = tokenizer.encode(ask.text, ask.parse_special);
    if (tokenizer.adds_bos()) ids.insert(ids.begin(), tokenizer.bos());
  }
  if (!ask.add_special_tokens && tokenizer.adds_bos()) ids.erase(ids.begin());
  const size_t count = ids.size();
  reply_json(*exchange, {{"count", count},
                         {"max_model_len", model.max_context},
                         {"tokens", std::move(ids)}});
}

void Service::detokenize(const std::shared_ptr<Exchange>& exchange) {
  const DetokenizeAsk ask = parse_detokenize(exchange->call().body);
  const text::Tokenizer& tokenizer = *find_model(ask.model).tokenizer;
  if (ask.tokens.size() > kMaxDetokenized) {
    throw ApiError(
        400,
        str("tokens: expected at most ", kMaxDetokenized, " token ids, found ",
            ask.tokens.size(), "; send them in several requests"),
        "invalid_value", "tokens");
  }
  for (const int id : ask.tokens) {
    if (id < tokenizer.size()) continue;
    throw ApiError(400,
                   str("tokens: expected token ids below ", tokenizer.size(),
                       ", found ", id),
                   "invalid_value", "tokens");
  }
  const std::string text = tokenizer.decode(ask.tokens, true);
  reply_json(*exchange, {{"prompt", text}, {"content", text}});
}

void Service::tokenizer_info(const std::shared_ptr<Exchange>& exchange) {
  const Model& model = *models_.front();
  const text::Tokenizer& tokenizer = *model.tokenizer;
  reply_json(*exchange,
             {{"tokenizer_class", "selfalign"},
              {"bos_token", special_text(tokenizer, tokenizer.bos())},
              {"eos_token", special_text(tokenizer, tokenizer.eos())},
              {"pad_token", nullptr},
              {"add_bos_token", tokenizer.adds_bos()},
              {"vocab_size", tokenizer.size()},
              {"model_max_length", model.max_context},
              {"chat_template", model.form.jinja()}});
}

void Service::health(const std::shared_ptr<Exchange>& exchange) {
  if (draining_) throw ApiError(503, "server: it is stopping", "stopping");
  reply_json(*exchange, {{"status", "ok"}});
}

void Service::show_metrics(const std::shared_ptr<Exchange>& exchange) {
  std::vector<ModelLoad> loads;
  for (const auto& model : models_) {
    const WorkerStatus status = model->worker->status();
    loads.push_back({model->id, status.num_queued, status.num_working});
  }
  exchange->reply(
      {200, "text/plain; version=0.0.4; charset=utf-8", metrics_.text(loads)});
}

}  // namespace selfalign::serve
