// A model behind an OpenAI-compatible server (vLLM, llama.cpp, ...), as a
// Generator: text completions over HTTP, many in flight.
//
// What is reproducible: the seed sent with a request comes from the row's key,
// and the fingerprint names the model as the server does, not the host; so a
// run may go on at another address. Whether the same request gives the same
// text again is the server's doing: batching, version and hardware are unknown
// here. Rows that are stored are never asked again, so a finished run keeps
// its digests; two runs may differ.
#pragma once

#include <memory>
#include <string>

#include "generate/generator.h"
#include "generate/http.h"

namespace selfalign::generate {

// "http://host:port/v1#name": the address under which /completions lies, and
// the server's name of the model; without #name it must have exactly one.
bool is_remote_model(const std::string& path);

struct RemoteOptions {
  std::string model;  // as above
  // num_in_flight is the number of requests the server works on at once.
  HttpOptions http;
};

// Asks the server for its models. Error kUsage: an address with a password, a
// query or spaces, no such model, a refused key; kFailed: no answer.
//
// generate: /completions with prefix and suffix as one prompt. The API takes
// four stop strings; all of the request's are applied here. ngram_penalty for
// n = 1 is the API's frequency penalty; longer n-grams are not penalized
// (warned of once). repetition_penalty and ban_eos (ignore_eos) are extensions
// of vLLM and llama.cpp, sent where they are used and left out, with a warning,
// once the server refuses them. A prompt that the server calls too long is
// Finish::kNoRoom; other refusals are Error kFailed with its words.
// num_tokens is the server's count, the end-of-text token included where it
// counts that. `tokens` and `top_logprobs` are empty where the server tells no
// ids. on_text gets text as it is made, but with want_logprobs at the end.
//
// score: echoes the prompt with log-probabilities, one request a continuation.
// Context and continuation are tokenized together: a token across the border
// counts to the continuation. Error kFailed where the server cannot.
//
// count_tokens: asks /tokenize (vLLM, llama.cpp); where there is none, a token
// is taken for every three bytes.
std::unique_ptr<Generator> make_remote_generator(const RemoteOptions& options);

}  // namespace selfalign::generate
