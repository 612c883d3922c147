// SPDX-License-Identifier: Apache-2.0
// The JSON lines of `generate` and `score`: requests in, results out. No model
// is needed here, so that the forms are tested without one.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "base/json.h"
#include "generate/generator.h"
#include "recipe/prompts.h"

namespace selfalign::cli {

// One line of `generate`:
//   {"prompt": "...",            text that the model goes on from
//    "prefix": "...",            before the prompt; computed once for all
//                                lines that have the same
//    "key": 7 or "row-7",        names the row and seeds its draws; unique
//    "temperature": 1.0, "top_p": 1.0, "max_tokens": 256,
//    "stop": ["\n"] or "\n",     text that ends the completion
//    "repetition_penalty": 1.0, "ngram_penalty": [0, 0, 1.5],
//    "logit_bias": {"11": -5.0, "12": "-inf"},
//    "ban_eos": false, "logprobs": false}
// All but the prompt may be left out.
struct GenerateLine {
  generate::Request request;
  Json key;  // as given, or the request's key as 16 hex digits
  bool logprobs = false;
};

class GenerateReader {
 public:
  // `vocab_size` bounds the ids of logit_bias. 0 stands for a remote model's,
  // which is not known: there is no bound, and log-probabilities, which not
  // every server gives, are asked for only by lines that want them. `defaults`:
  // the sampling of lines that say nothing of it.
  explicit GenerateReader(int vocab_size, generate::Sampling defaults = {})
      : vocab_size_(vocab_size), defaults_(std::move(defaults)) {}

  // Error kInput, naming `where`, on bad JSON, an unknown member, a value out
  // of range or a key used before. A line without a key gets one from its
  // content and the number of equal lines before it: the same input gives the
  // same output, and a line that is repeated is drawn anew.
  GenerateLine parse(std::string_view line, const std::string& where);

 private:
  int vocab_size_;
  generate::Sampling defaults_;
  std::unordered_map<std::string, std::shared_ptr<const std::string>> prefixes_;
  std::unordered_map<uint64_t, uint64_t> times_seen_;
  std::unordered_set<uint64_t> keys_;
};

// Makes the request's text the user's turn of a short prompt
// (stages::chat_request): an answer ends at the prompt's stop strings, too, and
// the request's key is the seed of its draws by the model of that fingerprint,
// as a server takes it. Error kInput, naming `where`, if it has a prefix.
void put_under(const recipe::ChatPrompt& chat, const std::string& fingerprint,
               const std::string& where, generate::Request& request);

// {"key", "text", "finish_reason", "num_tokens", "num_prompt_tokens",
//  "logprob", "tokens"} and, when asked for, "token_logprobs"; "error" of a row
// given up.
Json completion_json(const generate::Completion& completion,
                     const GenerateLine& line);

// One line of `score`: {"context": "...", "continuations": ["...", ...],
// "key": anything}.
struct ScoreLine {
  generate::ScoreRequest request;
  Json key;  // null where not given
};
ScoreLine parse_score_line(std::string_view line, const std::string& where);

// {"key", "continuations": [{"text", "tokens", "logprobs", "sum", "greedy",
//  "is_greedy"}]}: is_greedy is true when every token is the most probable. One
// that a server gave no score of has "text", "finish_reason" and "error".
Json scores_json(const generate::Scores& scores, const ScoreLine& line);

// A number out of a key's JSON: a whole number stands for itself, 16 hex
// digits are read as such, other text is hashed. Error kInput otherwise.
uint64_t key_of(const Json& key, const std::string& where);

}  // namespace selfalign::cli
