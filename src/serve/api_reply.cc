// SPDX-License-Identifier: Apache-2.0
#include "serve/api_reply.h"

#include <algorithm>

#include "base/counted.h"
#include "base/slices.h"
#include "text/unicode.h"

namespace selfalign::serve {
namespace {

using text::Tokenizer;

constexpr char kHex[] = "0123456789abcdef";

bool is_utf8(const std::string& bytes) {
  for (size_t pos = 0; pos < bytes.size();) {
    const text::Utf8Char next = text::utf8_char(bytes, pos);
    if (next.code < 0) return false;
    pos += next.length;
  }
  return true;
}

// The token's bytes as a name: itself where it is UTF-8.
std::string token_name(const std::string& bytes) {
  if (is_utf8(bytes)) return bytes;
  std::string name = "bytes:";
  for (const unsigned char c : bytes) {
    name += {'\\', 'x', kHex[c >> 4], kHex[c & 15]};
  }
  return name;
}

std::string name_of(int id, const Tokenizer& tokenizer) {
  return token_name(tokenizer.decode_token(id, true));
}

Json or_null(const std::string& text) {
  return text.empty() ? Json() : Json(text);
}

// {name: log-probability}; the chosen token is always among them.
Json top_object(const TokenEntry& entry, const Tokenizer& tokenizer) {
  Json top = Json::object();
  for (const generate::TokenLogprob& other : entry.top) {
    const std::string name = name_of(other.token, tokenizer);
    if (!top.contains(name)) top[name] = other.logprob;
  }
  const std::string own = name_of(entry.id, tokenizer);
  if (!top.contains(own)) top[own] = *entry.logprob;
  return top;
}

Json chat_token(int id, float logprob, const Tokenizer& tokenizer) {
  const std::string bytes = tokenizer.decode_token(id, true);
  Json numbers = Json::array();
  for (const unsigned char c : bytes) numbers.push_back(c);
  return {{"token", token_name(bytes)},
          {"logprob", logprob},
          {"bytes", std::move(numbers)}};
}

Json head_json(const ReplyHead& head, const char* object) {
  return {{"id", head.id},
          {"object", object},
          {"created", head.created},
          {"model", head.model},
          {"system_fingerprint", head.fingerprint}};
}

Json completion_choice(const Choice& choice, const Tokenizer& tokenizer) {
  return {{"index", choice.index},
          {"text", choice.text},
          {"logprobs", choice.has_logprobs
                           ? completion_logprobs(choice.entries, tokenizer)
                           : Json()},
          {"finish_reason", or_null(choice.finish_reason)}};
}

Json chat_choice(const Choice& choice, const char* member, Json message,
                 const Tokenizer& tokenizer) {
  return {
      {"index", choice.index},
      {member, std::move(message)},
      {"logprobs",
       choice.has_logprobs ? chat_logprobs(choice.entries, tokenizer) : Json()},
      {"finish_reason", or_null(choice.finish_reason)}};
}

// {head, "choices": [...], "usage": {...}}, of which no more than a choice is
// held as JSON at a time.
template <typename MakeChoice>
std::string answer_text(const Json& head, const std::vector<Choice>& choices,
                        const Usage& usage, const MakeChoice& make) {
  std::string text = dump_json(head);
  text.back() = ',';
  text += R"("choices":[)";
  for (const Choice& choice : choices) {
    if (text.back() != '[') text += ',';
    text += dump_json(make(choice));
    end_slice();
  }
  return text + R"(],"usage":)" + dump_json(usage_json(usage)) + "}";
}

}  // namespace

std::vector<TokenEntry> prompt_entries(
    const std::vector<int>& tokens, size_t num_unscored,
    const generate::ContinuationScore& score) {
  std::vector<TokenEntry> entries(tokens.size());
  for (size_t i = 0; i < tokens.size(); ++i) {
    entries[i].id = tokens[i];
    if (i < num_unscored) continue;
    const size_t at = i - num_unscored;
    entries[i].logprob = score.logprobs.at(at);
    if (at < score.top_logprobs.size()) {
      entries[i].top = score.top_logprobs[at];
    }
  }
  return entries;
}

std::vector<TokenEntry> completion_entries(
    const generate::Completion& completion, const Tokenizer& tokenizer) {
  std::vector<TokenEntry> entries;
  size_t length = 0;
  const size_t count =
      std::min(completion.tokens.size(), completion.token_logprobs.size());
  for (size_t i = 0; i < count; ++i) {
    const int id = completion.tokens[i];
    const size_t bytes = tokenizer.decode_token(id).size();
    const bool is_cut = completion.finish == generate::Finish::kStop &&
                        bytes > 0 && length >= completion.text.size();
    if (is_cut) break;
    length += bytes;
    TokenEntry entry{id, completion.token_logprobs[i], {}};
    if (i < completion.top_logprobs.size()) {
      entry.top = completion.top_logprobs[i];
    }
    entries.push_back(std::move(entry));
  }
  return entries;
}

Json completion_logprobs(const std::vector<TokenEntry>& entries,
                         const Tokenizer& tokenizer) {
  Json tokens = Json::array(), logprobs = Json::array(), top = Json::array(),
       offsets = Json::array();
  int64_t offset = 0;
  for (const TokenEntry& entry : entries) {
    const std::string bytes = tokenizer.decode_token(entry.id, true);
    tokens.push_back(token_name(bytes));
    logprobs.push_back(entry.logprob ? Json(*entry.logprob) : Json());
    top.push_back(entry.logprob ? top_object(entry, tokenizer) : Json());
    offsets.push_back(offset);
    offset += num_code_points(bytes);
  }
  return {{"tokens", std::move(tokens)},
          {"token_logprobs", std::move(logprobs)},
          {"top_logprobs", std::move(top)},
          {"text_offset", std::move(offsets)}};
}

Json chat_logprobs(const std::vector<TokenEntry>& entries,
                   const Tokenizer& tokenizer) {
  Json content = Json::array();
  for (const TokenEntry& entry : entries) {
    Json item = chat_token(entry.id, entry.logprob.value_or(0), tokenizer);
    item["top_logprobs"] = Json::array();
    for (const generate::TokenLogprob& other : entry.top) {
      item["top_logprobs"].push_back(
          chat_token(other.token, other.logprob, tokenizer));
    }
    content.push_back(std::move(item));
  }
  return {{"content", std::move(content)}, {"refusal", nullptr}};
}

Json usage_json(const Usage& usage) {
  return {
      {"prompt_tokens", usage.num_prompt_tokens},
      {"completion_tokens", usage.num_completion_tokens},
      {"total_tokens", usage.num_prompt_tokens + usage.num_completion_tokens}};
}

std::string completion_text(const ReplyHead& head,
                            const std::vector<Choice>& choices,
                            const Usage& usage, const Tokenizer& tokenizer) {
  return answer_text(head_json(head, "text_completion"), choices, usage,
                     [&](const Choice& choice) {
                       return completion_choice(choice, tokenizer);
                     });
}

std::string chat_text(const ReplyHead& head, const std::vector<Choice>& choices,
                      const Usage& usage, const Tokenizer& tokenizer) {
  return answer_text(head_json(head, "chat.completion"), choices, usage,
                     [&](const Choice& choice) {
                       return chat_choice(choice, "message",
                                          {{"role", "assistant"},
                                           {"content", choice.text},
                                           {"refusal", nullptr}},
                                          tokenizer);
                     });
}

Json completion_event(const ReplyHead& head, const Choice& choice,
                      const Tokenizer& tokenizer) {
  Json event = head_json(head, "text_completion");
  event["choices"] = Json::array({completion_choice(choice, tokenizer)});
  return event;
}

Json chat_event(const ReplyHead& head, const Choice& choice, bool first,
                const Tokenizer& tokenizer) {
  Json delta = Json::object();
  if (first) delta["role"] = "assistant";
  if (first || !choice.text.empty()) delta["content"] = choice.text;
  Json event = head_json(head, "chat.completion.chunk");
  event["choices"] =
      Json::array({chat_choice(choice, "delta", std::move(delta), tokenizer)});
  return event;
}

Json usage_event(const ReplyHead& head, bool is_chat, const Usage& usage) {
  Json event =
      head_json(head, is_chat ? "chat.completion.chunk" : "text_completion");
  event["choices"] = Json::array();
  event["usage"] = usage_json(usage);
  return event;
}

}  // namespace selfalign::serve
