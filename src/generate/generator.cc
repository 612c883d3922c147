#include "generate/generator.h"

#include <array>
#include <cmath>
#include <limits>

#include "base/error.h"

namespace selfalign::generate {
namespace {

constexpr std::array<const char*, 4> kFinishNames = {"stop", "length",
                                                     "no_room", "cancelled"};
constexpr size_t kMaxNgram = 4;
constexpr int kMaxTopLogprobs = 20;
// Bounds that keep changed logits finite in float32.
constexpr double kMaxPenalty = 1e6;
constexpr double kMaxBias = 1e12;

void expect(bool good, const char* what, const char* range, double found) {
  if (good) return;
  throw Error(ErrorKind::kUsage, str("sampling: expected ", what, " ", range,
                                     ", found ", found, "; change it"));
}

void check_sampling(const Sampling& s, int vocab) {
  expect(s.temperature >= 0 && std::isfinite(s.temperature), "a temperature",
         "of 0 or more", s.temperature);
  expect(s.top_p > 0 && s.top_p <= 1, "top_p", "in (0, 1]", s.top_p);
  expect(s.max_new_tokens >= 1, "max_new_tokens", "of 1 or more",
         s.max_new_tokens);
  expect(s.repetition_penalty >= 1 / kMaxPenalty &&
             s.repetition_penalty <= kMaxPenalty,
         "a repetition penalty", "from 1e-6 to 1e6", s.repetition_penalty);
  expect(s.ngram_penalty.size() <= kMaxNgram, "n-gram penalties",
         "for n up to 4", static_cast<double>(s.ngram_penalty.size()));
  for (double penalty : s.ngram_penalty) {
    expect(std::abs(penalty) <= kMaxPenalty, "n-gram penalties",
           "from -1e6 to 1e6", penalty);
  }
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
              str("finish reason: expected stop, length, no_room or "
                  "cancelled, found \"",
                  name, "\""));
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

void Generator::check(const Request& request) const {
  check_request(request, std::numeric_limits<int>::max());
}

}  // namespace selfalign::generate
