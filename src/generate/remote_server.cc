// SPDX-License-Identifier: Apache-2.0
#include "generate/remote_server.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "base/interrupt.h"
#include "generate/remote_key.h"
#include "generate/remote_reply.h"

namespace selfalign::generate {
namespace {

std::string listed_names(const std::vector<std::string>& names) {
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
                           const RemoteAdapter& adapter,
                           const HttpOptions& options)
    : address_(address),
      adapter_(adapter.name),
      questions_(for_questions(options)) {
  choose_model(adapter);
  choose_api(options);
}

std::string RemoteServer::answers_as() const {
  if (address_.model.find(adapter_) != std::string::npos) return model();
  return model() + kAsAdapter + adapter_;
}

std::vector<ListedModel> RemoteServer::ask_models() const {
  const std::string url = address_.base + "/models";
  const auto reply = questions_.fetch({url, "", 0});
  if (!reply) return {};  // interrupted: nothing will be asked
  throw_if_lost(url, *reply);
  check_account(*reply);
  if (reply->status >= 400) return {};
  try {
    return models_of(reply->body);
  } catch (const Error& error) {
    throw Error(ErrorKind::kFailed,
                str(url, ": expected a list of models, found ",
                    shortened(error.what()), "; check the address"));
  }
}

void RemoteServer::choose_model(const RemoteAdapter& adapter) {
  const std::vector<ListedModel> listed = ask_models();
  std::vector<std::string> names;
  std::string only;
  int num_models = 0;
  bool is_llama_cpp = false;
  bool has_adapter = false;
  for (const ListedModel& one : listed) {
    names.push_back(one.name);
    is_llama_cpp = is_llama_cpp || one.is_llama_cpp;
    has_adapter = has_adapter || one.name == adapter.name;
    if (one.is_adapter || one.name == adapter.name) continue;
    only = one.name;
    ++num_models;
  }
  if (address_.model.empty() && num_models == 1) address_.model = only;
  if (has_adapter) {
    address_.model = adapter.name;
    return;
  }
  const bool known =
      std::find(names.begin(), names.end(), address_.model) != names.end();
  if (address_.model.empty() || (!known && !names.empty())) {
    if (interrupted()) return;
    throw Error(
        ErrorKind::kUsage,
        str(address_.base,
            ": expected #NAME of a model the server has, "
            "found ",
            address_.model.empty() ? "none" : address_.model, "; ",
            names.empty() ? "the server does not list its models (does the "
                            "address end in /v1?)"
                          : "it has: " + listed_names(names)));
  }
  if (is_llama_cpp && choose_llama_adapter(adapter.name)) return;
  if (!adapter.name.empty() && adapter.loads) load(adapter);
}

// vLLM's call lies below /v1, SGLang's beside it.
void RemoteServer::load(const RemoteAdapter& adapter) {
  constexpr char kCall[] = "/load_lora_adapter";
  const auto vllm = ask_to_load(address_.base + kCall, adapter);
  if (!vllm) return;
  if (vllm->status < 400) {
    address_.model = adapter.name;
    return;
  }
  std::string found =
      str("status ", vllm->status, ": ", error_text(vllm->body));
  if (vllm->status == 404 || vllm->status == 405) {
    const auto sglang = ask_to_load(root() + kCall, adapter);
    if (!sglang) return;
    if (sglang->status < 400) {
      address_.model += ":" + adapter.name;
      return;
    }
    if (sglang->status != 404 && sglang->status != 405) {
      found = str("status ", sglang->status, ": ", error_text(sglang->body));
    }
  }
  throw Error(
      ErrorKind::kFailed,
      str(address_.base, ": expected a server that loads the adapter ",
          adapter.folder, ", found ", found,
          "; start vLLM with --enable-lora, a --max-lora-rank that suffices "
          "and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True, SGLang with "
          "--enable-lora, llama-server with --lora FILE whose name holds ",
          adapter.name,
          ", or let a command restart the servers (serve.reload)"));
}

std::optional<HttpReply> RemoteServer::ask_to_load(
    const std::string& url, const RemoteAdapter& adapter) const {
  const Json body{{"lora_name", adapter.name}, {"lora_path", adapter.folder}};
  auto reply = questions_.fetch({url, dump_json(body), 0});
  if (!reply) return reply;
  throw_if_lost(url, *reply);
  check_account(*reply);
  return reply;
}

// llama.cpp's server has the adapters that it was started with, and takes a
// scale of each by request: all are given one, or they would be in every
// answer. True if the file of one has the name.
bool RemoteServer::choose_llama_adapter(const std::string& name) {
  const auto reply = questions_.fetch({root() + "/lora-adapters", "", 0});
  if (!reply || reply->loss != HttpLoss::kNone || reply->status >= 400) {
    return false;
  }
  Json adapters = Json::array();
  bool is_there = false;
  try {
    const Json list = parse_reply(reply->body);
    if (!list.is_array()) return false;
    for (size_t i = 0; i < list.size() && i < 1000; ++i) {
      const std::string where = root() + "/lora-adapters";
      const bool is_it =
          !name.empty() && !is_there &&
          json_string(list[i], "path", where).find(name) != std::string::npos;
      is_there = is_there || is_it;
      adapters.push_back({{"id", json_int_in(list[i], "id", where, 0, 1 << 20)},
                          {"scale", is_it ? 1.0 : 0.0}});
    }
  } catch (const Error&) {  // another server's
    return false;
  }
  if (!adapters.empty()) members_["lora"] = std::move(adapters);
  return is_there;
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
    if (const auto ids = tokenize(text)) return static_cast<int>(ids->size());
    can_tokenize_ = false;
  }
  return estimate_tokens(text);
}

std::string RemoteServer::root() const {
  std::string root = address_.base;
  if (root.ends_with("/v1")) root.resize(root.size() - 3);
  return root;
}

// /tokenize lies beside /v1.
std::optional<std::vector<int>> RemoteServer::tokenize(
    const std::string& text) const {
  // vLLM reads prompt and add_special_tokens, llama.cpp content.
  const Json body{{"model", address_.model},
                  {"prompt", text},
                  {"add_special_tokens", false},
                  {"content", text}};
  try {
    const auto reply =
        questions_.fetch({root() + "/tokenize", dump_json(body), 0});
    if (!reply || reply->loss != HttpLoss::kNone || reply->status >= 400) {
      return std::nullopt;
    }
    const Json answer = parse_json(reply->body, "/tokenize");
    if (!answer.is_object() || !answer.contains("tokens") ||
        !answer["tokens"].is_array()) {
      return std::nullopt;
    }
    std::vector<int> ids;
    for (const Json& id : answer["tokens"]) {
      const int64_t number =
          id.is_number_integer() ? id.get<int64_t>() : int64_t{-1};
      if (number < 0 || number > std::numeric_limits<int>::max()) {
        return std::nullopt;
      }
      ids.push_back(static_cast<int>(number));
    }
    return ids;
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
