// SPDX-License-Identifier: Apache-2.0
#include "generate/remote_server.h"

#include <algorithm>
#include <vector>

#include "base/json.h"
#include "generate/remote_key.h"
#include "generate/remote_reply.h"

namespace selfalign::generate {
namespace {

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (size_t i = 0; i < names.size() && i < 10; ++i) {
    text += (i > 0 ? ", " : "") + names[i].substr(0, 100);
  }
  return names.size() > 10 ? text + ", ..." : text;
}

// What needs little work of the server.
HttpOptions one_at_a_time(const HttpOptions& given) {
  HttpOptions options = many_at_a_time(given);
  options.num_in_flight = 1;
  options.timeout_s = std::min(options.timeout_s, 60.0);
  options.max_total_s = std::min(options.max_total_s, 180.0);
  return options;
}

// Of models, with what servers say of each, or of a text's tokens.
constexpr size_t kMaxListBytes = size_t{8} << 20;

HttpOptions for_questions(const HttpOptions& given) {
  HttpOptions options = one_at_a_time(given);
  options.max_tries = std::min(options.max_tries, 3);
  options.max_response_bytes =
      std::min(options.max_response_bytes, kMaxListBytes);
  return options;
}

void throw_if_lost(const std::string& url, const HttpReply& reply) {
  if (reply.loss == HttpLoss::kNone) return;
  throw Error(ErrorKind::kFailed,
              str(url, ": expected an answer, found ", reply.problem,
                  "; see that the address is that of an OpenAI-compatible "
                  "server, and what it logs"));
}

}  // namespace

HttpOptions many_at_a_time(HttpOptions options) {
  options.stays = [](const HttpReply& reply) {
    return is_spent(reply.status, reply.body) ||
           is_over_limit(reply.status, reply.body);
  };
  return options;
}

size_t max_answer_bytes(size_t num_tokens, const HttpOptions& options) {
  return std::min(options.max_response_bytes,
                  (size_t{1} << 20) + (num_tokens << 13));
}

RemoteServer::RemoteServer(const RemoteAddress& address,
                           const HttpOptions& options)
    : address_(address), questions_(for_questions(options)) {
  choose_model();
  choose_api(options);
}

void RemoteServer::choose_model() {
  const auto reply = questions_.fetch({address_.base + "/models", "", 0});
  if (!reply) return;  // interrupted: nothing will be asked
  throw_if_lost(address_.base + "/models", *reply);
  check_account(*reply);
  std::vector<std::string> names;
  if (reply->status < 400) {
    try {
      names = models_of(reply->body);
    } catch (const Error& error) {
      throw Error(ErrorKind::kFailed,
                  str(address_.base,
                      "/models: expected a list of models, "
                      "found ",
                      shortened(error.what()), "; check the address"));
    }
  }
  if (address_.model.empty() && names.size() == 1) address_.model = names[0];
  const bool known =
      std::find(names.begin(), names.end(), address_.model) != names.end();
  if (address_.model.empty() || (!known && !names.empty())) {
    throw Error(
        ErrorKind::kUsage,
        str(address_.base,
            ": expected #NAME of a model the server has, "
            "found ",
            address_.model.empty() ? "none" : address_.model, "; ",
            names.empty() ? "the server does not list its models (does the "
                            "address end in /v1?)"
                          : "it has: " + listed(names)));
  }
}

// Asks for one token, first of a text. A server that gives no answer at all
// shows in the rows.
void RemoteServer::choose_api(const HttpOptions& options) {
  if (address_.api != RemoteApi::kAuto) return;
  HttpOptions for_one_token = one_at_a_time(options);
  for_one_token.max_response_bytes = max_answer_bytes(1, options);
  HttpClient probe(for_one_token);
  const auto ask = [&](const char* end, const char* name, const Json& prompt) {
    const Json body{
        {"model", address_.model}, {name, prompt}, {"max_tokens", 1}};
    const auto reply = probe.fetch({address_.base + end, dump_json(body), 0});
    if (reply) check_account(*reply);
    return !reply || !lacks_api(reply->status, reply->body);
  };
  address_.api = RemoteApi::kCompletions;
  const Json turn{{"role", "user"}, {"content", "Hi"}};
  if (!ask("/completions", "prompt", "Hi") &&
      ask("/chat/completions", "messages", Json::array({turn}))) {
    address_.api = RemoteApi::kChat;
  }
}

std::string RemoteServer::url() const {
  return address_.base + (chats_only() ? "/chat/completions" : "/completions");
}

int RemoteServer::count_tokens(const std::string& text) const {
  if (text.empty()) return 0;
  if (can_tokenize_) {
    if (const std::optional<int> count = ask_count(text)) return *count;
    can_tokenize_ = false;
  }
  return estimate_tokens(text);
}

// None where the server has no /tokenize, which lies beside /v1.
std::optional<int> RemoteServer::ask_count(const std::string& text) const {
  std::string root = address_.base;
  if (root.ends_with("/v1")) root.resize(root.size() - 3);
  // vLLM reads prompt and add_special_tokens, llama.cpp content.
  const Json body{{"model", address_.model},
                  {"prompt", text},
                  {"add_special_tokens", false},
                  {"content", text}};
  try {
    const auto reply =
        questions_.fetch({root + "/tokenize", dump_json(body), 0});
    if (!reply || reply->loss != HttpLoss::kNone || reply->status >= 400) {
      return std::nullopt;
    }
    const Json answer = parse_json(reply->body, "/tokenize");
    if (!answer.is_object() || !answer.contains("tokens") ||
        !answer["tokens"].is_array()) {
      return std::nullopt;
    }
    return static_cast<int>(answer["tokens"].size());
  } catch (const Error&) {
    return std::nullopt;
  }
}

void RemoteServer::check_account(const HttpReply& reply) const {
  check_spent(reply);
  if (reply.status == 401 || reply.status == 403) throw wrong_key(reply);
}

void RemoteServer::check_spent(const HttpReply& reply) const {
  if (is_spent(reply.status, reply.body)) {
    throw Error(ErrorKind::kFailed,
                str(address_.base,
                    ": expected an account that may ask more, found status ",
                    reply.status, ": ", error_text(reply.body),
                    "; see to the account, then run the same command again"));
  }
}

Error RemoteServer::wrong_key(const HttpReply& reply) const {
  return {ErrorKind::kUsage,
          str(address_.base,
              ": expected a key that the server accepts, found status ",
              reply.status, ": ", error_text(reply.body), "; ",
              key_advice(*origin_of(address_.base)))};
}

void RemoteServer::note_refusal(const HttpReply& reply,
                                RemoteLosses& losses) const {
  if (reply.loss == HttpLoss::kRefused) {
    losses.suspect({ErrorKind::kFailed,
                    str(url(), ": expected an answer, found ", reply.problem)});
  } else if (reply.status == 403) {
    losses.suspect(wrong_key(reply));
  } else if (reply.status == 404 || reply.status == 405) {
    losses.suspect({ErrorKind::kFailed,
                    str(url(), ": expected a completion, found status ",
                        reply.status, ": ", error_text(reply.body),
                        "; correct the request or the server's settings")});
  }
}

}  // namespace selfalign::generate
