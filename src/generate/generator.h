// SPDX-License-Identifier: Apache-2.0
// All that stages, evaluations and the server see of a language model: text
// in, text out. A generator pulls requests and pushes completions, so that a
// batch never drains.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/settings.h"

namespace selfalign::generate {

// How the next token is chosen. The defaults are plain sampling.
struct Sampling {
  double temperature = 1.0;  // 0 picks the most probable token
  double top_p = 1.0;        // nucleus, in (0, 1]
  int max_new_tokens = 256;  // at least 1
  // Text before the first of these is the completion; they are not part of it.
  std::vector<std::string> stop = {};
  // Multiplies down the logits of tokens seen in prompt suffix or completion
  // (Keskar et al. 2019, section 4.1); 1 is off.
  double repetition_penalty = 1.0;
  // ngram_penalty[n-1] is subtracted from the logit of a token for each time
  // it would complete an n-gram that the completion already holds, n = 1..4.
  std::vector<double> ngram_penalty = {};
  // Added to the logit of a token id; -infinity bans it.
  std::map<int, double> logit_bias = {};
  bool ban_eos = false;  // never sample the end-of-text tokens

  // Those that a person sets, also of a struct with the same names; then all.
  static void describe_draw(auto& visit, auto& sampling) {
    using namespace ranges;
    visit({"temperature",
           "0 always takes the most probable token, without any penalty."},
          sampling.temperature, kTemperature);
    visit({"top_p",
           "Tokens are drawn from the most probable ones that together have "
           "this probability."},
          sampling.top_p, kTopP);
    visit({"max_new_tokens", "Tokens of one completion, at most.", "tokens",
           "--max-tokens,--max-new-tokens"},
          sampling.max_new_tokens, kMaxNewTokens);
    visit({"repetition_penalty",
           "Multiplies down the logits of tokens that stood there before; "
           "1 is off."},
          sampling.repetition_penalty, kRepetitionPenalty);
  }
  static void describe(auto& visit, auto& sampling) {
    describe_draw(visit, sampling);
    visit({"ngram_penalty",
           "The n-th number is taken from the logit of a token for each time "
           "that it would repeat an n-gram of the completion."},
          sampling.ngram_penalty, Numbers{ranges::kNgramPenalty, 4});
    visit({"ban_eos", "Never draws the end-of-text token."}, sampling.ban_eos,
          AnyValue());
  }
};

// A turn of a chat.
struct Message {
  std::string role;  // "system", "user" or "assistant"
  std::string content = {};
};

struct PromptTokens;  // prompt_tokens.h

// A prompt is prefix + suffix, tokenized as one text wherever that is cut. The
// prefix is shared by many requests and is computed once; requests with the
// same prefix text share it.
struct Request {
  uint64_t key = 0;  // of the row: seeds its draws, names its completion
  std::shared_ptr<const std::string> prefix = {};  // may be null: none
  std::string suffix = {};
  // Bytes of the suffix, ascending, at which it is cut into pieces that are
  // tokenized by themselves: before and behind every answer of a chat's
  // history, whose tokens are those that training taught to say, whatever
  // follows them.
  std::vector<size_t> cuts = {};
  // Instead of prefix and suffix, where not empty: token ids, taken as they are
  // (no BOS is put before them). Error kInput for ids the model lacks.
  std::vector<int> prompt_tokens = {};
  // What tokenize_prompt() makes of all that, where somebody has it already.
  std::shared_ptr<const PromptTokens> tokenized = {};
  // What prefix and suffix say, as turns that end with the user's: for a model
  // that takes only a chat (remote.h); all others go by the text. Empty where
  // the prompt is a text to go on with.
  std::vector<Message> messages = {};
  Sampling sampling = {};
  bool want_logprobs = false;  // fill Completion::token_logprobs and tokens
  int num_top_logprobs = 0;    // with them, the most probable tokens: 0 to 20
  // Called at every step of the row with the text that became certain in it:
  // whole characters that no stop string can take back. An empty piece only
  // asks whether to go on. All pieces together are Completion::text. False
  // cancels the row at once (kCancelled), and text ends with that piece. From
  // the thread that called generate(), with which other rows wait: be quick.
  std::function<bool(std::string_view text)> on_text = {};
  // Once true, from whatever thread, nobody needs the row any more: a model
  // behind a server drops it within a moment (kCancelled), others may finish
  // it.
  std::shared_ptr<const std::atomic<bool>> dropped = {};
};

enum class Finish {
  kStop,       // end-of-text token or a stop string
  kLength,     // max_new_tokens reached
  kNoRoom,     // the prompt leaves no room in the context
  kCancelled,  // taken back before it was done
  // Given up: a server, asked a bounded number of times, gave no answer.
  kBadAnswer,    // what it sent is no answer of the API
  kTooLarge,     // it sent more than the answer can be
  kTimedOut,     // it took too long
  kBrokenOff,    // it ended the connection before the answer's end
  kRefused,      // it does not take this request
  kServerError,  // it failed at this request, and answered others
};
const char* finish_name(Finish finish);            // "stop", "length", ...
Finish finish_from_name(const std::string& name);  // Error kInput if unknown
// False where there is no text to read: no room, cancelled, or given up.
bool has_answer(Finish finish);
bool is_given_up(Finish finish);

// A token that could have stood in a place, before any bias or penalty.
struct TokenLogprob {
  int token = 0;
  float logprob = 0;  // natural log
};

struct Completion {
  uint64_t key = 0;
  std::string text = {};      // valid UTF-8, without the stop string
  int num_tokens = 0;         // sampled, the end-of-text token not counted
  int num_prompt_tokens = 0;  // prefix and suffix
  bool is_estimated = false;  // both counts: a server told none
  Finish finish = Finish::kStop;
  std::string problem = {};  // of a row given up: what was found; not stored
  double logprob = 0.0;  // sum over sampled tokens, before any bias or penalty
  std::vector<int> tokens = {};            // when asked for
  std::vector<float> token_logprobs = {};  // when asked for, one per token
  // When asked for, per token, most probable first.
  std::vector<std::vector<TokenLogprob>> top_logprobs = {};
};

// Of a count that a server gave for the whole, what falls to `part`, by bytes.
int share_of_count(const Completion& whole, const std::string& part);

// What fingerprints of models behind servers begin with.
constexpr char kRemote[] = "remote ";

// For those who store what they are given: rows that are given up before any
// was answered show a server that answers nobody, and are to be asked again.
class AnswerWatch {
 public:
  // Error kFailed, beginning with `where`, at such a row.
  void see(const Completion& completion, const std::string& where);

 private:
  bool any_ = false;
};

// Log-probabilities of continuations of one context, which is computed once for
// all of them. Context and continuation are tokenized as one text; a token
// across the border counts to the continuation (text::encode_pair), as in
// lm-eval.
struct ScoreRequest {
  uint64_t key = 0;
  std::string context = {};  // must give at least one token (BOS counts)
  std::vector<std::string> continuations = {};
  // Instead of the two, where either is not empty: token ids, taken as they
  // are. A text without context has its first token as context.
  std::vector<int> context_tokens = {};  // at least one
  std::vector<std::vector<int>> continuation_tokens = {};
  int num_top_logprobs = 0;  // 0 to 20

  bool has_tokens() const {
    return !context_tokens.empty() || !continuation_tokens.empty();
  }
};
struct ContinuationScore {
  std::vector<int> tokens = {};
  std::vector<float> logprobs = {};  // natural log, one per token
  std::vector<bool> is_greedy = {};  // the token is the most probable one
  // When asked for, per token, most probable first.
  std::vector<std::vector<TokenLogprob>> top_logprobs = {};
  // Without has_answer there is no score: a server gave none (is_given_up, with
  // `problem`), or the text is too long for it.
  Finish finish = Finish::kStop;
  std::string problem = {};
};
struct Scores {
  uint64_t key = 0;
  std::vector<ContinuationScore> continuations = {};  // in the request's order
};

// A score under way, a part at a time.
class Scoring {
 public:
  virtual ~Scoring() = default;
  // Does the next part, about as much as a step of generate() that takes in a
  // prompt; true once the scores are there. Throws what score() throws.
  virtual bool advance() = 0;
  Scores scores;
};

// What no model can do with a request: Error kUsage for sampling out of range,
// kInput for token ids that are not below `vocab`.
void check_request(const Request& request, int vocab);
void check_request(const ScoreRequest& request, int vocab);

// Gives the next request, or none when there are no more for now. After none
// it is asked again after every step and whenever a completion was pushed; work
// ends when it gives none and nothing is in flight. It and OnCompletion may
// call score() of the same generator: a server's way to do both at once.
using NextRequest = std::function<std::optional<Request>()>;
using OnCompletion = std::function<void(Completion)>;

class Generator {
 public:
  virtual ~Generator() = default;

  // Runs until `next` gives none and all completions were pushed to `done`, or
  // until an interrupt: then unfinished requests are dropped and the call
  // returns (see base/interrupt.h). Both functions are called from the calling
  // thread, in no promised order. Throws Error for what a person can fix; then
  // all that is unfinished is lost, so whoever has requests of several users
  // asks check() of each before.
  virtual void generate(const NextRequest& next, const OnCompletion& done) = 0;

  // Error kInput for a request that has no context or is too long.
  virtual std::vector<Scores> score(
      const std::vector<ScoreRequest>& requests) = 0;

  // The same as score() of one request, to the bit, in parts. Any number may be
  // under way; where each keeps what it holds, begin few.
  virtual std::unique_ptr<Scoring> begin_score(ScoreRequest request);

  // `callback` is called after every step of generate(), from its thread. It
  // may score, in parts or not; while all slots are taken, texts with one token
  // as context and one continuation alone.
  virtual void when_stepped(std::function<void()> /*callback*/) {}

  // Throws the Error that generate() would throw because of this request alone;
  // one that passes cannot end the work of others. (A prompt that is too long
  // is no error but Finish::kNoRoom.) This and fingerprint() may be called from
  // any thread at any time.
  virtual void check(const Request& request) const;

  // Names everything a completion depends on beside the request: weights,
  // adapter, dtype, slots, device class, library version.
  virtual std::string fingerprint() const = 0;

  // Tokens of `text` where it goes on with another, as an answer does (no BOS).
  virtual int count_tokens(const std::string& text) const = 0;

  // Their ids; empty where the model does not tell them.
  virtual std::vector<int> token_ids(const std::string& /*text*/) const {
    return {};
  }

  // The same of `part`, a part of the completion's text. A model behind a
  // server, which counted the whole, gives that much of its count; a row then
  // costs no further request.
  virtual int count_part(const Completion& whole,
                         const std::string& part) const;

  // True for a model that only answers turns: it takes a request's messages,
  // and score() is an Error kFailed.
  virtual bool chats_only() const { return false; }

  // True where many scores that are asked for together take hardly longer than
  // one alone, as behind a server.
  virtual bool scores_together() const { return false; }
};

}  // namespace selfalign::generate
