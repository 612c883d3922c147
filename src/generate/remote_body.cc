// SPDX-License-Identifier: Apache-2.0
#include "generate/remote_body.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "text/words.h"

namespace selfalign::generate {
namespace {

constexpr size_t kMaxStops = 4;  // that the API takes
constexpr char kLength[] = "max_tokens";
constexpr char kChatLength[] = "max_completion_tokens";
constexpr char kGoOn[] =
    "You are given the beginning of a text. Go on with it from exactly where "
    "it ends, in its own form: write only what comes next, without repeating "
    "any of it and without a remark of your own.";
// Members beyond the API that vLLM or llama.cpp know.
constexpr std::array<const char*, 4> kExtensions = {
    "repetition_penalty", "repeat_penalty", "ignore_eos", "stream_options"};
// Members of the API that some models refuse; the first that is named goes.
constexpr std::array<const char*, 6> kOptional = {
    "top_p", "temperature", "seed", "stop", "frequency_penalty", "logit_bias"};
// How servers say that they do not take a member at all.
constexpr std::array<const char*, 13> kRefusing = {
    "support",        "unknown",       "unrecognized", "unrecognised",
    "unexpected",     "not permitted", "not allowed",  "extra inputs",
    "extra_forbid",   "deprecated",    "cannot both",  "not available",
    "not implemented"};

bool has_member(const std::string& body, const std::string& name) {
  return body.find("\"" + name + "\":") != std::string::npos;
}

// As a whole word: "stop" is not in "stop_reason".
bool names(const std::string& text, const std::string& word) {
  const auto is_part = [&](size_t at) {
    return at < text.size() &&
           (std::isalnum(static_cast<unsigned char>(text[at])) != 0 ||
            text[at] == '_');
  };
  for (size_t at = text.find(word); at != std::string::npos;
       at = text.find(word, at + 1)) {
    if (!is_part(at + word.size()) && (at == 0 || !is_part(at - 1))) {
      return true;
    }
  }
  return false;
}

std::string text_of(const Request& request) {
  return (request.prefix ? *request.prefix : "") + request.suffix;
}

// What a system message says stands before the user's first turn.
std::vector<Message> fold_system(const std::vector<Message>& messages) {
  std::vector<Message> folded;
  std::string system;
  for (const Message& message : messages) {
    if (message.role == "system") {
      system += message.content + "\n\n";
      continue;
    }
    folded.push_back(message);
    if (message.role == "user") {
      folded.back().content = std::exchange(system, "") + message.content;
    }
  }
  return folded;
}

}  // namespace

std::string RemoteBody::write(const Request& request) {
  const Sampling& sampling = request.sampling;
  const bool chats = api_ == RemoteApi::kChat;
  Json body = members_;
  body["model"] = model_;
  if (chats) {
    body["messages"] = messages_of(request);
  } else if (!request.prompt_tokens.empty()) {
    body["prompt"] = request.prompt_tokens;
  } else {
    body["prompt"] = text_of(request);
  }
  body[is_refused(kLength) ? kChatLength : kLength] = sampling.max_new_tokens;
  put(body, "temperature", sampling.temperature);
  if (!chats || sampling.top_p < 1) put(body, "top_p", sampling.top_p);
  // 31 bits: every server takes them, none reads them as "random".
  put(body, "seed", request.key & 0x7fffffff);
  if (!sampling.stop.empty()) {
    const auto num = std::min(sampling.stop.size(), kMaxStops);
    put(body, "stop",
        std::vector<std::string>(
            sampling.stop.begin(),
            sampling.stop.begin() + static_cast<long>(num)));
  }
  put_logprobs(body, request);
  put_penalties(body, sampling);
  if (request.on_text && !request.want_logprobs) {
    body["stream"] = true;
    put(body, "stream_options", Json{{"include_usage", true}});
  }
  if (sampling.ban_eos) put(body, "ignore_eos", true);
  return dump_json(body);
}

Json RemoteBody::messages_of(const Request& request) const {
  std::vector<Message> messages = request.messages;
  if (messages.empty()) {
    messages = {{"system", kGoOn}, {"user", text_of(request)}};
  }
  if (folds_system_) messages = fold_system(messages);
  Json list = Json::array();
  for (const Message& message : messages) {
    list.push_back({{"role", message.role}, {"content", message.content}});
  }
  return list;
}

void RemoteBody::put(Json& body, const char* name, const Json& value) const {
  if (!is_refused(name)) body[name] = value;
}

void RemoteBody::put_logprobs(Json& body, const Request& request) const {
  if (!request.want_logprobs) return;
  const int num_top = std::max(1, request.num_top_logprobs);
  if (api_ == RemoteApi::kChat) {
    body["logprobs"] = true;
    body["top_logprobs"] = num_top;
  } else {
    body["logprobs"] = num_top;
  }
}

void RemoteBody::put_penalties(Json& body, const Sampling& sampling) {
  for (size_t n = 0; n < sampling.ngram_penalty.size(); ++n) {
    if (sampling.ngram_penalty[n] == 0) continue;
    if (n == 0) {
      put(body, "frequency_penalty", sampling.ngram_penalty[0]);
    } else if (!std::exchange(warned_of_ngrams_, true)) {
      log_warning(
          "the API has no penalty for n-grams of two tokens and more; rows "
          "are made without it");
    }
  }
  Json biases = Json::object();
  for (const auto& [token, bias] : sampling.logit_bias) {
    biases[std::to_string(token)] =
        std::clamp(bias, -100.0, 100.0);  // -100 is the API's ban
  }
  if (!biases.empty()) put(body, "logit_bias", biases);
  if (sampling.repetition_penalty != 1) {
    put(body, "repetition_penalty", sampling.repetition_penalty);
    put(body, "repeat_penalty", sampling.repetition_penalty);
  }
}

bool RemoteBody::is_refused(const std::string& name) const {
  return std::find(refused_.begin(), refused_.end(), name) != refused_.end();
}

// True, so that a body with it, sent before another answer told, goes again.
bool RemoteBody::drop(const std::string& name) {
  if (is_refused(name)) return true;
  refused_.push_back(name);
  log_warning(
      str("the server does not take '", name, "'; rows are made without it"));
  return true;
}

bool RemoteBody::learn(const std::string& body, const std::string& refusal) {
  return learn_extensions(body, refusal) || learn_length(body, refusal) ||
         learn_system(body, refusal) || learn_member(body, refusal);
}

bool RemoteBody::learn_extensions(const std::string& body,
                                  const std::string& refusal) {
  bool any = false;
  for (const char* name : kExtensions) {
    if (has_member(body, name) && names(refusal, name)) any = drop(name);
  }
  return any;
}

bool RemoteBody::learn_length(const std::string& body,
                              const std::string& refusal) {
  if (!has_member(body, kLength) || !names(refusal, kChatLength)) return false;
  if (!is_refused(kLength)) refused_.emplace_back(kLength);
  return true;
}

bool RemoteBody::learn_system(const std::string& body,
                              const std::string& refusal) {
  const std::string words = text::to_lower(refusal);
  if (body.find(R"("role":"system")") == std::string::npos ||
      words.find("system") == std::string::npos ||
      words.find("role") == std::string::npos) {
    return false;
  }
  if (!std::exchange(folds_system_, true)) {
    log_warning(
        "the model takes no system message; what it says stands before the "
        "user's first turn");
  }
  return true;
}

bool RemoteBody::learn_member(const std::string& body,
                              const std::string& refusal) {
  const std::string words = text::to_lower(refusal);
  const bool refuses = std::any_of(
      kRefusing.begin(), kRefusing.end(),
      [&](const char* one) { return words.find(one) != std::string::npos; });
  if (!refuses) return false;
  for (const char* name : kOptional) {
    if (has_member(body, name) && names(refusal, name)) return drop(name);
  }
  return false;
}

}  // namespace selfalign::generate
