// SPDX-License-Identifier: Apache-2.0
// Requests of the HTTP API, checked: JSON in, parameters within their ranges
// out. Pure functions; nothing here knows a model. Members that this server
// does not know, or knows and cannot follow, are refused by name: an answer
// under other settings than those asked for would be worse than none.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "generate/generator.h"
#include "recipe/decoding.h"

namespace selfalign::serve {

// The most that one request may ask for.
struct RequestLimits {
  int max_rows = 256;  // prompts times n
  int max_new_tokens = 1 << 20;
  int max_messages = 1000;
};

// What both kinds of completions have.
struct Ask {
  std::string model;  // "": the server's first
  int n = 1;          // completions of each prompt
  bool stream = false;
  bool include_usage = false;    // a last event of the stream with the usage
  std::optional<uint64_t> seed;  // none: another text each time
  // -1: no log-probabilities; else of how many tokens beside the chosen one.
  int num_top_logprobs = -1;
  // Tokens to sample; none: whatever the endpoint's default is.
  std::optional<int> max_tokens;
  // max_new_tokens is not set here. What the request does not say is as by
  // default; what it says of temperature, top-p and repetition penalty stands
  // in `given`, too, for a chat has other defaults.
  generate::Sampling sampling;
  recipe::GivenSampling given;
};

// A prompt is text or token ids.
struct Prompt {
  std::string text;
  std::vector<int> tokens;
  bool is_tokens = false;
};

// POST /v1/completions
struct CompletionAsk : Ask {
  std::vector<Prompt> prompts;  // at least one
  bool is_list = false;         // the prompt was a list of prompts
  bool echo = false;            // the prompt stands before the completion
};

struct Message {
  std::string role;  // system (first, if at all), user, assistant
  std::string text;
};

// POST /v1/chat/completions. Messages: an optional system message, then user
// and assistant in turn, the user last.
struct ChatAsk : Ask {
  std::vector<Message> messages;
};

// POST /tokenize: "prompt" or "content" is text, or "messages" a chat.
struct TokenizeAsk {
  std::string model;
  std::string text;
  std::vector<Message> messages;
  bool is_chat = false;
  bool add_special_tokens = true;  // BOS, where the model has one
  bool parse_special = true;       // "<|im_end|>" becomes that token
};

// POST /detokenize
struct DetokenizeAsk {
  std::string model;
  std::vector<int> tokens;
};

// All throw ApiError 400 that names the member.
CompletionAsk parse_completion(std::string_view body,
                               const RequestLimits& limits);
ChatAsk parse_chat(std::string_view body, const RequestLimits& limits);
TokenizeAsk parse_tokenize(std::string_view body, const RequestLimits& limits);
DetokenizeAsk parse_detokenize(std::string_view body);

}  // namespace selfalign::serve
