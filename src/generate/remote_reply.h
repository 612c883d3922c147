// What a model server answers, checked: nothing of it is believed before.
// Every function throws Error kInput, in words that fit after "found", where
// the answer is not what the API promises.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "generate/generator.h"

namespace selfalign::generate {

// An answer of /completions as the completion of `request`; cut at the first
// of the request's stop strings. `estimate` counts tokens where the server
// does not.
Completion completion_of(const std::string& body, const Request& request,
                         int (*estimate)(const std::string&));

// An echoed prompt, context + continuation, perhaps with one generated token:
// the log-probabilities of the continuation. Error where the answer does not
// hold the prompt's tokens. top_logprobs are empty where it tells no ids.
ContinuationScore score_of(const std::string& body, const std::string& context,
                           const std::string& continuation);
// The same of a prompt of ids, num_context of which are the context.
ContinuationScore score_of(const std::string& body, size_t num_context,
                           const std::vector<int>& continuation);

// Names of /models, at most 1,000.
std::vector<std::string> models_of(const std::string& body);

// The server's message in an answer that is an error; shortened, one line.
std::string error_text(const std::string& body);

// True if that answer says that the prompt is too long for the model.
bool is_too_long(long status, const std::string& body);

}  // namespace selfalign::generate
