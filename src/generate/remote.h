// SPDX-License-Identifier: Apache-2.0
// A model behind an OpenAI-compatible server (vLLM, llama.cpp, ...), as a
// Generator: text completions over HTTP, many in flight.
//
// What is reproducible: the seed sent with a request comes from the row's key,
// and the fingerprint names the model as the server does, with the adapter
// where that has no name there, not the host; so a run may go on at another
// address. Whether the same request gives the same text again is the server's
// doing: batching, version and hardware are unknown here. Rows that are stored
// are never asked again, so a finished run keeps its digests; two runs may
// differ.
#pragma once

#include <memory>
#include <string>

#include "generate/generator.h"
#include "generate/http.h"
#include "generate/remote_address.h"
#include "generate/remote_server.h"

namespace selfalign::generate {

struct RemoteOptions {
  std::string model;         // an address, as in remote_address.h
  std::string api = "auto";  // auto, completions, chat
  RemoteAdapter adapter;     // that the model answers with
  // num_in_flight is the number of requests the server works on at once.
  HttpOptions http;
};

// Asks the server for its models and, where neither options nor address say
// it, which API it has: /completions where it answers there, a token to try it,
// else /chat/completions. Error kUsage: an address that is none, no such model,
// a refused key; kFailed: no answer, or, here as later, an account that is used
// up, at the first reply that says so.
//
// generate: requests as remote_body.h writes them, without what the server
// refuses; all stop strings are applied here. A prompt that the server calls
// too long is Finish::kNoRoom, one that its filter refuses an empty text that
// was cut (kLength). A row of which no answer can be had, after the tries of
// http.h, is given up, with Completion::problem; it is handed on once another
// row was answered, or at the end. Error kFailed, naming the server and what it
// said: what http.h says of all requests, a status 401, and 16 rows in a row
// without an answer, or as many as there are if none was ever answered and one
// met a redirect, 403, 404 or 405: the address or the key is wrong then (kUsage
// for a key). Other statuses are the outcome of the row that gets them.
// num_tokens is the server's count, the end-of-text token included where it
// counts that, and what was reasoned before the answer. `tokens` and
// `top_logprobs` are empty where the server tells no ids. on_text gets text as
// it is made, but with want_logprobs at the end. A chat takes no prompt_tokens:
// Error kUsage.
//
// score: echoes the prompt with log-probabilities, one request a continuation.
// Context and continuation are tokenized together: a token across the border
// counts to the continuation. What one of them meets is its own outcome, as of
// a row (ContinuationScore::finish). Error kFailed where the server cannot, as
// over the chat API, or gives log-probabilities of none: what it refuses with
// 400 or 422, or answers without them, before any was scored.
//
// count_tokens: asks /tokenize (vLLM, llama.cpp); where there is none, a token
// is taken for every three bytes. count_part asks nobody.
std::unique_ptr<Generator> make_remote_generator(const RemoteOptions& options);

}  // namespace selfalign::generate
