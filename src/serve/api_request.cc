// SPDX-License-Identifier: Apache-2.0
#include "serve/api_request.h"

#include <cmath>
#include <limits>
#include <set>

#include "base/error.h"
#include "base/number.h"
#include "serve/members.h"
#include "serve/neutral_members.h"

namespace selfalign::serve {
namespace {

constexpr size_t kMaxStops = 16;
constexpr size_t kMaxStopBytes = 1024;
constexpr size_t kMaxBiases = 4096;
constexpr int kMaxTopLogprobs = 20;
constexpr size_t kMaxTokens = size_t{1} << 22;
constexpr Range<double> kFrequencyPenalty{-2, 2};  // the API's

std::vector<std::string> read_stops(Members& members) {
  const Value* value = members.take("stop");
  if (value == nullptr) return {};
  const Value list = value->is_array() ? *value : Value::array({*value});
  if (list.size() > kMaxStops) {
    refuse("stop", str("at most ", kMaxStops, " strings"), shown(list));
  }
  std::vector<std::string> stops;
  for (const Value& item : list) {
    if (!item.is_string()) refuse("stop", "strings", shown(item));
    stops.push_back(item.get<std::string>());
    if (stops.back().empty() || stops.back().size() > kMaxStopBytes) {
      refuse("stop", str("strings of 1 to ", kMaxStopBytes, " bytes"),
             shown(item));
    }
  }
  return stops;
}

// -100 bans a token, as the API has it.
std::map<int, double> read_biases(Members& members) {
  const Value* value = members.take("logit_bias");
  if (value == nullptr) return {};
  if (!value->is_object() || value->size() > kMaxBiases) {
    refuse("logit_bias", str("an object of at most ", kMaxBiases, " token ids"),
           shown(*value));
  }
  std::map<int, double> biases;
  for (const auto& [name, item] : value->items()) {
    const auto id = parse_number<int>(name, 0);
    if (!id) {
      refuse("logit_bias", "token ids as names", shown(Value(name)));
    }
    if (!item.is_number() || !(std::fabs(item.get<double>()) <= 100)) {
      refuse("logit_bias", "numbers from -100 to 100", shown(item));
    }
    const double bias = item.get<double>();
    biases[*id] =
        bias == -100 ? -std::numeric_limits<double>::infinity() : bias;
  }
  return biases;
}

void read_sampling(Members& members, Ask& ask) {
  generate::Sampling& sampling = ask.sampling;
  ask.given.temperature =
      members.take_number("temperature", ranges::kTemperature);
  ask.given.top_p = members.take_number("top_p", ranges::kTopP);
  sampling.stop = read_stops(members);
  sampling.logit_bias = read_biases(members);
  // Extensions of vLLM and llama.cpp; two names of one thing.
  for (const char* name : {"repetition_penalty", "repeat_penalty"}) {
    const auto penalty = members.take_number(name, ranges::kRepetitionPenalty);
    if (penalty) ask.given.repetition_penalty = penalty;
  }
  ask.given.put(sampling);
  const auto frequency =
      members.take_number("frequency_penalty", kFrequencyPenalty);
  if (frequency.value_or(0) != 0) sampling.ngram_penalty = {*frequency};
  sampling.ban_eos = members.take_bool("ignore_eos").value_or(false);
}

void read_stream(Members& members, Ask& ask) {
  ask.stream = members.take_bool("stream").value_or(false);
  const Value* options = members.take("stream_options");
  if (options == nullptr) return;
  if (!options->is_object()) {
    refuse("stream_options", "an object", shown(*options));
  }
  for (const auto& [name, value] : options->items()) {
    // There is nothing here that it would hide.
    const bool is_neutral = name == "include_obfuscation" && value.is_boolean();
    if (value.is_null() || is_neutral) continue;
    if (name != "include_usage" || !value.is_boolean()) {
      refuse("stream_options", "\"include_usage\": true or false",
             shown(Value(name)));
    }
    ask.include_usage = value.get<bool>();
  }
  if (ask.include_usage && !ask.stream) {
    refuse("stream_options", "\"stream\": true with it", "none");
  }
}

void read_ask(Members& members, const RequestLimits& limits, Ask& ask) {
  ask.model = members.take_string("model").value_or("");
  ask.n =
      static_cast<int>(members.take_int("n", 1, limits.max_rows).value_or(1));
  ask.seed = members.take_seed("seed");
  read_stream(members, ask);
  read_sampling(members, ask);
  // The API wants it to be no less than n; as many as n are just those.
  members.take_neutral("best_of", {ask.n});
  take_neutral_members(members);
}

void read_max_tokens(Members& members, const char* name, int least,
                     const RequestLimits& limits, Ask& ask) {
  const auto most = members.take_int(name, least, limits.max_new_tokens);
  if (most) ask.max_tokens = static_cast<int>(*most);
}

int read_token(const std::string& name, const Value& value) {
  const bool fits = value.is_number_integer() && value >= 0 &&
                    value <= std::numeric_limits<int>::max();
  if (!fits) refuse(name, "token ids", shown(value));
  return value.get<int>();
}

std::vector<int> read_tokens(const std::string& name, const Value& list) {
  if (list.size() > kMaxTokens) {
    refuse(name, str("at most ", kMaxTokens, " token ids"), shown(list));
  }
  std::vector<int> tokens;
  tokens.reserve(list.size());
  for (const Value& item : list) tokens.push_back(read_token(name, item));
  return tokens;
}

Prompt read_prompt(const Value& value) {
  Prompt prompt;
  if (value.is_string()) {
    prompt.text = value.get<std::string>();
  } else if (value.is_array() && !value.empty()) {
    prompt.is_tokens = true;
    prompt.tokens = read_tokens("prompt", value);
  } else {
    refuse("prompt", "a text or a list of token ids", shown(value));
  }
  return prompt;
}

void check_rows(size_t num_prompts, int n, const RequestLimits& limits) {
  if (num_prompts * static_cast<size_t>(n) <=
      static_cast<size_t>(limits.max_rows)) {
    return;
  }
  throw ApiError(
      400,
      str("prompt: expected at most ", limits.max_rows,
          " completions of one request (prompts times n), found ", num_prompts,
          " prompts and n ", n, "; send them in several requests"),
      "too_many_rows", "prompt");
}

void read_prompts(Members& members, const RequestLimits& limits,
                  CompletionAsk& ask) {
  const Value* value = members.take("prompt");
  if (value == nullptr) {
    refuse("prompt", "a text, a list of token ids or a list of these", "none");
  }
  ask.is_list = value->is_array() && !value->empty() &&
                (value->front().is_string() || value->front().is_array());
  check_rows(ask.is_list ? value->size() : 1, ask.n, limits);
  if (!ask.is_list) {
    ask.prompts.push_back(read_prompt(*value));
    return;
  }
  for (const Value& item : *value) ask.prompts.push_back(read_prompt(item));
}

// Members of a message, or of a part of one, beside those that are followed:
// only such as are empty change nothing.
void refuse_others(const Value& object, const std::set<std::string>& known) {
  for (const auto& [name, value] : object.items()) {
    if (known.contains(name) || value.is_null() || value == "") continue;
    if (value.is_structured() && value.empty()) continue;
    refuse("messages", "messages without what this server does not follow",
           shown(Value(name)));
  }
}

// What an answer that has no content says in its place; none: it does not.
std::optional<std::string> read_refusal(const Value& message) {
  const Value refusal = message.value("refusal", Value());
  const Value content = message.value("content", Value());
  if (message.value("role", Value()) != "assistant" || !refusal.is_string() ||
      refusal == "" || !(content.is_null() || content == "")) {
    return std::nullopt;
  }
  return refusal.get<std::string>();
}

// The text of a message: a string, or parts that are all text.
std::string read_content(const Value& message) {
  const Value content = message.value("content", Value());
  if (content.is_string()) return content.get<std::string>();
  if (!content.is_array() || content.empty()) {
    refuse("messages", "\"content\" that is text", shown(content));
  }
  std::string text;
  for (const Value& part : content) {
    if (!part.is_object() || part.value("type", Value()) != "text" ||
        !part.value("text", Value()).is_string()) {
      refuse("messages", "parts of \"content\" of the type \"text\"",
             shown(part.is_object() ? part.value("type", Value()) : part));
    }
    refuse_others(part, {"type", "text", "prompt_cache_breakpoint"});
    text += part["text"].get<std::string>();
  }
  return text;
}

Message read_message(const Value& value, size_t num_before) {
  if (!value.is_object()) {
    refuse("messages", "objects with \"role\" and \"content\"", shown(value));
  }
  const Value role = value.value("role", Value());
  Message message;
  if (role == "system" || role == "developer") {
    message.role = "system";
    if (num_before > 0) refuse("messages", "a system message first", "later");
  } else if (role == "user" || role == "assistant") {
    message.role = role.get<std::string>();
  } else {
    refuse("messages", "the roles system, user and assistant", shown(role));
  }
  if (const auto refusal = read_refusal(value)) {
    refuse_others(value, {"role", "content", "refusal"});
    message.text = *refusal;
  } else {
    refuse_others(value, {"role", "content"});
    message.text = read_content(value);
  }
  return message;
}

std::vector<Message> read_messages(Members& members,
                                   const RequestLimits& limits) {
  const Value* list = members.take("messages");
  if (list == nullptr) refuse("messages", "a list of messages", "none");
  if (!list->is_array() || list->empty() ||
      list->size() > static_cast<size_t>(limits.max_messages)) {
    refuse("messages", str("a list of 1 to ", limits.max_messages, " messages"),
           shown(*list));
  }
  std::vector<Message> messages;
  size_t num_turns = 0;
  for (const Value& item : *list) {
    messages.push_back(read_message(item, messages.size()));
    const std::string& role = messages.back().role;
    if (role == "system") continue;
    const char* expected = num_turns++ % 2 == 0 ? "user" : "assistant";
    if (role != expected) {
      refuse("messages", "user and assistant in turn, the user first",
             str("message ", messages.size(), " of the ", role));
    }
  }
  if (messages.back().role != "user") {
    refuse("messages", "a message of the user last",
           str("one of the ", messages.back().role));
  }
  return messages;
}

}  // namespace

Json error_json(const ApiError& error) {
  const char* type = error.status() >= 500   ? "server_error"
                     : error.status() == 401 ? "authentication_error"
                                             : "invalid_request_error";
  const auto or_null = [](const std::string& text) {
    return text.empty() ? Json() : Json(text);
  };
  return {{"error",
           {{"message", error.message()},
            {"type", type},
            {"param", or_null(error.param())},
            {"code", or_null(error.code())}}}};
}

CompletionAsk parse_completion(std::string_view body,
                               const RequestLimits& limits) {
  Members members(body);
  CompletionAsk ask;
  read_ask(members, limits, ask);
  read_prompts(members, limits, ask);
  ask.echo = members.take_bool("echo").value_or(false);
  ask.num_top_logprobs = static_cast<int>(
      members.take_int("logprobs", 0, kMaxTopLogprobs).value_or(-1));
  read_max_tokens(members, "max_tokens", 0, limits, ask);
  take_neutral_completion_members(members);
  members.expect_empty();
  return ask;
}

ChatAsk parse_chat(std::string_view body, const RequestLimits& limits) {
  Members members(body);
  ChatAsk ask;
  read_ask(members, limits, ask);
  ask.messages = read_messages(members, limits);
  const bool logprobs = members.take_bool("logprobs").value_or(false);
  const auto top = members.take_int("top_logprobs", 0, kMaxTopLogprobs);
  if (top.value_or(0) > 0 && !logprobs) {
    refuse("top_logprobs", "\"logprobs\": true with it", "none");
  }
  if (logprobs) ask.num_top_logprobs = static_cast<int>(top.value_or(0));
  for (const char* name : {"max_tokens", "max_completion_tokens"}) {
    read_max_tokens(members, name, 1, limits, ask);
  }
  take_neutral_chat_members(members);
  members.expect_empty();
  return ask;
}

TokenizeAsk parse_tokenize(std::string_view body, const RequestLimits& limits) {
  Members members(body);
  TokenizeAsk ask;
  ask.model = members.take_string("model").value_or("");
  const auto prompt = members.take_string("prompt");
  const auto content = members.take_string("content");
  if (prompt || content) {
    members.take("messages");
    ask.text = prompt ? *prompt : *content;
  } else {
    ask.messages = read_messages(members, limits);
    ask.is_chat = true;
  }
  for (const char* name : {"add_special_tokens", "add_special"}) {
    ask.add_special_tokens =
        members.take_bool(name).value_or(ask.add_special_tokens);
  }
  ask.parse_special = members.take_bool("parse_special").value_or(true);
  take_neutral_tokenize_members(members);
  members.expect_empty();
  return ask;
}

DetokenizeAsk parse_detokenize(std::string_view body) {
  Members members(body);
  DetokenizeAsk ask;
  ask.model = members.take_string("model").value_or("");
  const Value* list = members.take("tokens");
  if (list == nullptr || !list->is_array()) {
    refuse("tokens", "a list of token ids",
           list == nullptr ? "none" : shown(*list));
  }
  ask.tokens = read_tokens("tokens", *list);
  members.expect_empty();
  return ask;
}

}  // namespace selfalign::serve
