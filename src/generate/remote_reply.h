// SPDX-License-Identifier: Apache-2.0
// What a model server answers, checked: nothing of it is believed before.
// Every function throws Error, in words that fit after "found": kFailed where
// another try may bring an answer (no JSON, an error that is sent as an answer,
// no choices, a row that the server gave up), kInput where the answer is not
// what the API promises.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "generate/generator.h"

namespace selfalign::generate {

// An answer of /completions or /chat/completions as the completion of
// `request`, cut at the first of the request's stop strings. Where the server
// does not count tokens, or counts what is no number of tokens, they are
// estimated.
//
// Of a chat's message the content counts, a text or parts of which some are
// texts (of type text, output_text, refusal or none), else the refusal; what
// was reasoned before is no part of the answer.
// Null is the empty text. An answer without finish_reason, or with one that is
// not known here, may have been cut: Finish::kLength.
Completion completion_of(const std::string& body, const Request& request);

// The JSON of an answer, or of one event of a stream.
Json parse_reply(std::string_view body);

// A token is taken for every three bytes.
int estimate_tokens(const std::string& text);

// The text of a chat's message or of a piece of one ("delta").
std::string message_text(const Json& message);

// An echoed prompt, context + continuation, perhaps with one generated token:
// the log-probabilities of the continuation. Error where the answer does not
// hold the prompt's tokens. top_logprobs are empty where it tells no ids.
ContinuationScore score_of(const std::string& body, const std::string& context,
                           const std::string& continuation);
// The same of a prompt of ids, num_context of which are the context.
ContinuationScore score_of(const std::string& body, size_t num_context,
                           const std::vector<int>& continuation);

// An entry of /models; vLLM and SGLang list adapters with the model they are
// of.
struct ListedModel {
  std::string name;
  bool is_adapter = false;
  bool is_llama_cpp = false;  // so that server says
};
// At most 1,000 of them.
std::vector<ListedModel> models_of(const std::string& body);

// The server's message in an answer that is an error; shortened, one line.
std::string error_text(const std::string& body);

// True if that answer says that the prompt is too long for the model.
bool is_too_long(long status, const std::string& body);

// True if it says that the server's filter of contents refused the prompt.
bool is_filtered(long status, const std::string& body);

// True if it says, by OpenAI's code or type of the error, that what was paid
// for is used up: waiting brings no more.
bool is_spent(long status, const std::string& body);

// True if it says, in OpenAI's words, that this request alone asks for more
// tokens than may be asked for in a minute: waiting does not help it.
bool is_over_limit(long status, const std::string& body);

// True if it says that the server, or the model, does not have this API.
bool lacks_api(long status, const std::string& body);

}  // namespace selfalign::generate
