// SPDX-License-Identifier: Apache-2.0
// Results as the JSON that clients of the field's HTTP API expect. Pure
// functions over one kind of token list.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "generate/generator.h"
#include "text/tokenizer.h"

namespace selfalign::serve {

// A token of a prompt or a completion with what is known of it.
struct TokenEntry {
  int id = 0;
  std::optional<float> logprob;  // none: nothing stands before the token
  std::vector<generate::TokenLogprob> top;  // most probable first
};

struct Choice {
  int index = 0;
  std::string text;  // the prompt before it where it is echoed
  std::vector<TokenEntry> entries;
  bool has_logprobs = false;
  std::string finish_reason;  // "stop" or "length"
};

struct Usage {
  int64_t num_prompt_tokens = 0;
  int64_t num_completion_tokens = 0;
};

// What all parts of one answer share.
struct ReplyHead {
  std::string id;
  int64_t created = 0;  // seconds since 1970
  std::string model;
  std::string fingerprint;
};

// Entries of a prompt whose first `num_unscored` tokens have no score.
std::vector<TokenEntry> prompt_entries(
    const std::vector<int>& tokens, size_t num_unscored,
    const generate::ContinuationScore& score);
// Entries of a completion, as far as its text, cut at a stop string perhaps,
// reaches.
std::vector<TokenEntry> completion_entries(
    const generate::Completion& completion, const text::Tokenizer& tokenizer);

// {"tokens", "token_logprobs", "top_logprobs", "text_offset"}: offsets in
// characters from the choice's beginning. A token that is no whole character
// reads "bytes:\xe2\x80", as the API has it.
Json completion_logprobs(const std::vector<TokenEntry>& entries,
                         const text::Tokenizer& tokenizer);
// {"content": [{"token", "logprob", "bytes", "top_logprobs": [...]}]}
Json chat_logprobs(const std::vector<TokenEntry>& entries,
                   const text::Tokenizer& tokenizer);

Json usage_json(const Usage& usage);

// Whole answers as text: with log-probabilities they may be long, so they are
// made in slices (base/slices.h), a choice each. And events of a stream.
std::string completion_text(const ReplyHead& head,
                            const std::vector<Choice>& choices,
                            const Usage& usage,
                            const text::Tokenizer& tokenizer);
std::string chat_text(const ReplyHead& head, const std::vector<Choice>& choices,
                      const Usage& usage, const text::Tokenizer& tokenizer);
Json completion_event(const ReplyHead& head, const Choice& choice,
                      const text::Tokenizer& tokenizer);
// `first`: the event that opens the message.
Json chat_event(const ReplyHead& head, const Choice& choice, bool first,
                const text::Tokenizer& tokenizer);
// The last event, with the usage and no choices.
Json usage_event(const ReplyHead& head, bool is_chat, const Usage& usage);

}  // namespace selfalign::serve
