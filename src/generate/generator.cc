// SPDX-License-Identifier: Apache-2.0
#include "generate/generator.h"

#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "base/error.h"
#include "base/ranges.h"

namespace selfalign::generate {
namespace {

constexpr std::array<const char*, 10> kFinishNames = {
    "stop",      "length",    "no_room",    "cancelled", "bad_answer",
    "too_large", "timed_out", "broken_off", "refused",   "server_error"};
constexpr size_t kMaxNgram = 4;
constexpr int kMaxTopLogprobs = 20;
// Keeps changed logits finite in float32, as the ranges of penalties do.
constexpr double kMaxBias = 1e12;

void expect(bool good, const char* what, const std::string& range,
            double found) {
  if (good) return;
  throw Error(ErrorKind::kUsage, str("sampling: expected ", what, " ", range,
                                     ", found ", found, "; change it"));
}

void check_sampling(const Sampling& s, int vocab) {
  RangeCheck check("sampling");
  Sampling::describe(check, s);
  for (const auto& [id, bias] : s.logit_bias) {
    expect(id >= 0 && id < vocab, "biased token ids", "in the vocabulary", id);
    expect(std::abs(bias) <= kMaxBias || bias == -HUGE_VAL, "a logit bias",
           "from -1e12 to 1e12, or -infinity", bias);
  }
}

void check_tokens(const std::vector<int>& tokens, int vocab) {
  for (const int id : tokens) {
    if (id >= 0 && id < vocab) continue;
    throw Error(ErrorKind::kInput,
                str("prompt: expected token ids from 0 to ", vocab - 1,
                    ", found ", id, "; use the model's own tokenizer"));
  }
}

void check_top_logprobs(int count) {
  expect(count >= 0 && count <= kMaxTopLogprobs, "a number of logprobs",
         "from 0 to 20", count);
}

}  // namespace

const char* finish_name(Finish finish) {
  return kFinishNames.at(static_cast<size_t>(finish));
}

Finish finish_from_name(const std::string& name) {
  for (size_t i = 0; i < kFinishNames.size(); ++i) {
    if (name == kFinishNames[i]) return static_cast<Finish>(i);
  }
  throw Error(ErrorKind::kInput,
              str("finish reason: expected stop, length or another that is "
                  "known, found \"",
                  name, "\""));
}

bool has_answer(Finish finish) {
  return finish == Finish::kStop || finish == Finish::kLength;
}

bool is_given_up(Finish finish) { return finish >= Finish::kBadAnswer; }

void AnswerWatch::see(const Completion& completion, const std::string& where) {
  any_ = any_ || !is_given_up(completion.finish);
  if (any_) return;
  throw Error(ErrorKind::kFailed,
              str(where, ": expected an answer of the model, found ",
                  completion.problem,
                  "; see to the server, then run the same command again"));
}

void check_request(const Request& request, int vocab) {
  check_sampling(request.sampling, vocab);
  check_tokens(request.prompt_tokens, vocab);
  check_top_logprobs(request.num_top_logprobs);
}

void check_request(const ScoreRequest& request, int vocab) {
  check_tokens(request.context_tokens, vocab);
  for (const std::vector<int>& tokens : request.continuation_tokens) {
    check_tokens(tokens, vocab);
  }
  check_top_logprobs(request.num_top_logprobs);
}

std::unique_ptr<Scoring> Generator::begin_score(ScoreRequest request) {
  class AtOnce final : public Scoring {
   public:
    AtOnce(Generator& generator, ScoreRequest request)
        : generator_(generator), request_(std::move(request)) {}
    bool advance() override {
      scores = std::move(generator_.score({request_}).at(0));
      return true;
    }

   private:
    Generator& generator_;
    const ScoreRequest request_;
  };
  return std::make_unique<AtOnce>(*this, std::move(request));
}

void Generator::check(const Request& request) const {
  check_request(request, std::numeric_limits<int>::max());
}

int share_of_count(const Completion& whole, const std::string& part) {
  if (whole.text.empty()) return 0;
  const double share = double(part.size()) / double(whole.text.size());
  return static_cast<int>(std::ceil(share * whole.num_tokens - 1e-9));
}

int Generator::count_part(const Completion& /*whole*/,
                          const std::string& part) const {
  return count_tokens(part);
}

}  // namespace selfalign::generate
