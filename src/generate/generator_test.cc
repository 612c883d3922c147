// SPDX-License-Identifier: Apache-2.0
#include "generate/generator.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"

namespace selfalign::generate {
namespace {

// The kind of the error that a request with this change is refused with.
template <typename Any>
std::optional<ErrorKind> refused(const std::function<void(Any&)>& change) {
  Any request;
  change(request);
  try {
    check_request(request, 10);
  } catch (const Error& error) {
    return error.kind();
  }
  return std::nullopt;
}

std::optional<ErrorKind> refused_sampling(void (*change)(Sampling&)) {
  return refused<Request>([&](Request& r) { change(r.sampling); });
}

TEST(CheckRequest, RefusesSamplingThatCannotBe) {
  EXPECT_EQ(refused_sampling([](Sampling&) {}), std::nullopt);
  EXPECT_EQ(refused_sampling([](Sampling& s) {
              s.logit_bias = {{9, -HUGE_VAL}, {0, -1e9}};
              s.ngram_penalty = {-2, 0, 0, 100};
              s.repetition_penalty = 0.01;
            }),
            std::nullopt);
  void (*const bad[])(Sampling&) = {
      [](Sampling& s) { s.temperature = -1; },
      [](Sampling& s) { s.temperature = HUGE_VAL; },
      [](Sampling& s) { s.top_p = 0; },
      [](Sampling& s) { s.top_p = std::nan(""); },
      [](Sampling& s) { s.max_new_tokens = 0; },
      [](Sampling& s) {
        s.logit_bias = {{10, 1}};
      },
      [](Sampling& s) {
        s.logit_bias = {{-1, 1}};
      },
      [](Sampling& s) {
        s.logit_bias = {{1, HUGE_VAL}};
      },
      [](Sampling& s) {
        s.logit_bias = {{1, -1e300}};
      },
      [](Sampling& s) { s.ngram_penalty.resize(5); },
      [](Sampling& s) { s.ngram_penalty = {1e300}; },
      [](Sampling& s) { s.repetition_penalty = 0; },
      [](Sampling& s) { s.repetition_penalty = 1e300; }};
  for (const auto change : bad) {
    EXPECT_EQ(refused_sampling(change), ErrorKind::kUsage) << &change - bad;
  }
}

TEST(CheckRequest, TokensAreThoseOfTheModel) {
  EXPECT_EQ(refused<Request>([](Request& r) {
              r.prompt_tokens = {0, 9};
            }),
            std::nullopt);
  EXPECT_EQ(refused<Request>([](Request& r) {
              r.prompt_tokens = {0, 10};
            }),
            ErrorKind::kInput);
  EXPECT_EQ(refused<Request>([](Request& r) { r.prompt_tokens = {-1}; }),
            ErrorKind::kInput);
  EXPECT_EQ(
      refused<ScoreRequest>([](ScoreRequest& r) { r.context_tokens = {10}; }),
      ErrorKind::kInput);
  EXPECT_EQ(refused<ScoreRequest>([](ScoreRequest& r) {
              r.continuation_tokens = {{1}, {-5}};
            }),
            ErrorKind::kInput);
}

TEST(CheckRequest, NumberOfLogprobsHasABound) {
  EXPECT_EQ(refused<Request>([](Request& r) { r.num_top_logprobs = 20; }),
            std::nullopt);
  EXPECT_EQ(refused<Request>([](Request& r) { r.num_top_logprobs = 21; }),
            ErrorKind::kUsage);
  EXPECT_EQ(
      refused<ScoreRequest>([](ScoreRequest& r) { r.num_top_logprobs = -1; }),
      ErrorKind::kUsage);
}

}  // namespace
}  // namespace selfalign::generate
