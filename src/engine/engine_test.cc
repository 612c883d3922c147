// SPDX-License-Identifier: Apache-2.0
#include "engine/engine.h"

#include <ATen/TensorIndexing.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "base/interrupt.h"
#include "engine/aten_decoder.h"
#include "engine/generation.h"
#include "engine/testing.h"
#include "text/words.h"

namespace selfalign::engine {
namespace {

using generate::Completion;
using generate::Finish;
using generate::Request;

constexpr EngineOptions kOptions = kTinyOptions;

const auto kPrefix = std::make_shared<const std::string>(
    "You are a helpful assistant. Rules: be kind, be brief, be honest; say "
    "when you do not know. Think before you answer, then answer. ");

std::vector<Request> some_requests(int count, double temperature,
                                   bool with_prefix = true) {
  std::vector<Request> requests;
  for (int i = 0; i < count; ++i) {
    Request request;
    request.key = 1000 + uint64_t(i);
    if (with_prefix) request.prefix = kPrefix;
    request.suffix = std::string(size_t(i * 5 % 40), char('a' + i % 26));
    request.sampling.temperature = temperature;
    request.sampling.top_p = 0.95;
    request.sampling.max_new_tokens = 5 + i * 3 % 17;
    request.sampling.ban_eos = i % 2 == 0;
    requests.push_back(request);
  }
  return requests;
}

void expect_same(const Completions& a, const Completions& b) {
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [key, c] : a) {
    const Completion& other = b.at(key);
    EXPECT_EQ(c.text, other.text) << key;
    EXPECT_EQ(c.num_tokens, other.num_tokens) << key;
    EXPECT_EQ(c.num_prompt_tokens, other.num_prompt_tokens) << key;
    EXPECT_EQ(c.finish, other.finish) << key;
    EXPECT_EQ(c.logprob, other.logprob) << key;
  }
}

TEST(Engine, EveryRowIsTheSameInAnyOrderAndNumberOfSlots) {
  for (at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const auto requests = some_requests(23, 1.0);
    const Completions together = run(*engine_of(kOptions, dtype), requests);
    auto reversed = requests;
    std::reverse(reversed.begin(), reversed.end());
    expect_same(together, run(*engine_of(kOptions, dtype), reversed));
    EngineOptions other = kOptions;
    other.num_slots = 7;
    other.prefill_chunk = 9;
    expect_same(together, run(*engine_of(other, dtype), requests));
    const auto one_by_one = engine_of(kOptions, dtype);
    Completions alone;
    for (const Request& request : requests) {
      alone.merge(run(*one_by_one, {request}));
    }
    expect_same(together, alone);
  }
}

TEST(Engine, SharedPrefixChangesNoGreedyText) {
  EngineOptions apart = kOptions;
  apart.share_prefix = false;
  const auto requests = some_requests(9, 0.0);
  const Completions shared = run(*engine_of(), requests);
  const Completions separate = run(*engine_of(apart), requests);
  for (const auto& [key, c] : shared) {
    EXPECT_EQ(c.text, separate.at(key).text);
    EXPECT_EQ(c.num_prompt_tokens, separate.at(key).num_prompt_tokens);
    EXPECT_NEAR(c.logprob, separate.at(key).logprob, 1e-3);
  }
}

TEST(Engine, GreedyTextEqualsTheModelStepByStep) {
  const auto weights = tiny_weights();
  const ByteTokenizer tokenizer;
  const auto generator =
      make_engine(weights, std::make_shared<ByteTokenizer>(), kOptions);
  Request request;
  request.prefix = kPrefix;
  request.suffix = "What?";
  request.sampling.temperature = 0;
  request.sampling.max_new_tokens = 12;
  request.sampling.ban_eos = true;
  request.want_logprobs = true;
  const Completion c = run(*generator, {request}).begin()->second;
  std::vector<int> tokens = tokenizer.encode(*kPrefix + "What?", false);
  double sum = 0;
  ASSERT_EQ(c.tokens.size(), 12u);
  for (size_t i = 0; i < 12; ++i) {
    const at::Tensor row =
        reference_logits(*weights, tokens)[-1].slice(0, 0, tokenizer.size());
    const at::Tensor allowed = row.clone();
    allowed[256] = -INFINITY;
    const int best = static_cast<int>(allowed.argmax().item<int64_t>());
    EXPECT_EQ(c.tokens[i], best);
    const float logprob =
        at::log_softmax(row.to(at::kDouble), 0)[best].item<float>();
    EXPECT_NEAR(c.token_logprobs[i], logprob, 1e-4);
    sum += double{c.token_logprobs[i]};
    tokens.push_back(best);
  }
  EXPECT_DOUBLE_EQ(c.logprob, sum);
  EXPECT_EQ(c.num_prompt_tokens, int(kPrefix->size()) + 5);
}

// The path of other devices, on CPU tensors.
TEST(Engine, AtenDecoderGivesTheSameGreedyText) {
  const OneThread one_thread;
  const auto weights = tiny_weights();
  const ByteTokenizer tokenizer;
  const auto decoder = make_aten_decoder(
      weights, {.num_slots = 4, .prefill_chunk = 32, .max_context = 400});
  PrefixCache prefixes(*decoder, kOptions.max_context);
  const auto requests = some_requests(9, 0.0);
  Completions completions;
  size_t next = 0;
  SequenceCache kept(kOptions.max_context);
  Generation({*decoder, prefixes, kept, tokenizer, kOptions, 260})
      .run(
          [&]() -> std::optional<Request> {
            if (next == requests.size()) return std::nullopt;
            return requests[next++];
          },
          [&](Completion c) { completions.emplace(c.key, std::move(c)); });
  const Completions own = run(*engine_of(), requests);
  ASSERT_EQ(completions.size(), own.size());
  for (const auto& [key, c] : own) EXPECT_EQ(c.text, completions.at(key).text);
}

TEST(Engine, PrefixesMayChangeAndBeAbsent) {
  std::vector<Request> requests = some_requests(12, 1.0);
  for (size_t i = 0; i < requests.size(); ++i) {
    if (i % 3 == 1) requests[i].prefix = nullptr;
    if (i % 3 == 2) {
      requests[i].prefix = std::make_shared<const std::string>("Other one: ");
    }
    if (i % 4 == 0) requests[i].suffix.clear();
  }
  const Completions mixed = run(*engine_of(), requests);
  Completions alone;
  for (const Request& request : requests) {
    alone.merge(run(*engine_of(), {request}));
  }
  expect_same(mixed, alone);
}

TEST(Engine, StopStringsCutAcrossTokens) {
  Request request;
  request.prefix = kPrefix;
  request.sampling.max_new_tokens = 60;
  request.sampling.ban_eos = true;
  request.sampling.logit_bias[10] = 0;
  // Only letters, so that text is what was sampled.
  for (int id = 0; id < 258; ++id) {
    if (id < 'a' || id > 'd') request.sampling.logit_bias[id] = -INFINITY;
  }
  request.key = 5;
  const Completion whole = run(*engine_of(), {request}).at(5);
  ASSERT_EQ(whole.text.size(), 60u);
  EXPECT_EQ(whole.finish, Finish::kLength);
  const std::string stop = whole.text.substr(20, 3);
  request.sampling.stop = {"never", stop, ""};
  const Completion cut = run(*engine_of(), {request}).at(5);
  EXPECT_EQ(cut.finish, Finish::kStop);
  EXPECT_EQ(cut.text, whole.text.substr(0, whole.text.find(stop)));
  EXPECT_EQ(size_t(cut.num_tokens), whole.text.find(stop) + 3);
}

TEST(Engine, EndOfTextStopsAndIsNotCounted) {
  Request request;
  request.suffix = "x";
  request.sampling.logit_bias = {{256, 1000.0}};
  const Completion c = run(*engine_of(), {request}).at(0);
  EXPECT_EQ(c.finish, Finish::kStop);
  EXPECT_EQ(c.num_tokens, 0);
  EXPECT_EQ(c.text, "");
}

TEST(Engine, TextIsValidUtf8) {
  Request request;
  request.suffix = "x";
  request.sampling.max_new_tokens = 50;
  request.sampling.ban_eos = true;
  for (int id = 0; id < 128; ++id) {
    request.sampling.logit_bias[id] = -INFINITY;
  }
  EXPECT_TRUE(text::is_valid_utf8(run(*engine_of(), {request}).at(0).text));
}

TEST(Engine, ContextBoundsPromptAndCompletion) {
  EngineOptions options = kOptions;
  options.max_context = 50;
  std::vector<Request> requests(3);
  for (size_t i = 0; i < 3; ++i) {
    requests[i].key = i;
    requests[i].sampling.ban_eos = true;
    requests[i].sampling.max_new_tokens = 100;
  }
  requests[0].suffix = std::string(50, 'a');
  requests[1].suffix = std::string(49, 'a');
  requests[2].suffix = std::string(20, 'a');
  const Completions c = run(*engine_of(options), requests);
  EXPECT_EQ(c.at(0).finish, Finish::kNoRoom);
  EXPECT_EQ(c.at(0).num_prompt_tokens, 50);
  EXPECT_EQ(c.at(1).finish, Finish::kLength);
  EXPECT_EQ(c.at(1).num_tokens, 1);
  EXPECT_EQ(c.at(2).num_tokens, 30);
  requests[1].prefix = kPrefix;  // over 50 by itself
  EXPECT_EQ(run(*engine_of(options), requests).at(1).finish, Finish::kNoRoom);
}

TEST(Engine, AsksAgainAfterEachStep) {
  const auto generator = engine_of();
  const auto requests = some_requests(6, 1.0);
  size_t given = 0, done = 0, asked_when_none = 0, num_tokens = 0;
  generator->generate(
      [&]() -> std::optional<Request> {
        if (given > done || given == requests.size()) {
          ++asked_when_none;
          return std::nullopt;
        }
        return requests[given++];
      },
      [&](const Completion& c) {
        ++done;
        num_tokens += static_cast<size_t>(c.num_tokens);
      });
  EXPECT_EQ(done, 6u);
  // A step is a token here, and at the end of some a slot is free at once.
  EXPECT_GE(asked_when_none, num_tokens);
}

TEST(Engine, InterruptDropsWhatIsUnfinished) {
  const auto generator = engine_of();
  const auto requests = some_requests(20, 1.0);
  size_t next = 0, done = 0;
  generator->generate([&]() { return std::optional(requests.at(next++)); },
                      [&](const Completion&) { set_interrupted(++done >= 3); });
  set_interrupted(false);
  EXPECT_GE(done, 3u);
  EXPECT_LT(done, 12u);
  EXPECT_EQ(run(*generator, some_requests(5, 1.0)).size(), 5u);
}

void check_score(const generate::ContinuationScore& score,
                 const model::Weights& weights, const std::vector<int>& context,
                 const std::vector<int>& continuation) {
  EXPECT_EQ(score.tokens, continuation);
  ASSERT_EQ(score.logprobs.size(), score.tokens.size());
  ASSERT_EQ(score.is_greedy.size(), score.tokens.size());
  std::vector<int> whole = context;
  whole.insert(whole.end(), continuation.begin(), continuation.end());
  const at::Tensor want = at::log_softmax(reference_logits(weights, whole), -1);
  for (size_t i = 0; i < score.tokens.size(); ++i) {
    const at::Tensor row = want[int64_t(context.size() + i) - 1];
    EXPECT_NEAR(score.logprobs[i], row[score.tokens[i]].item<float>(), 2e-4);
    EXPECT_EQ(score.is_greedy[i],
              row.argmax().item<int64_t>() == score.tokens[i]);
  }
}

TEST(Engine, ScoresEqualTheModel) {
  const auto weights = tiny_weights();
  const ByteTokenizer tokenizer(true);
  const auto generator =
      make_engine(weights, std::make_shared<ByteTokenizer>(true), kOptions);
  const std::vector<generate::ScoreRequest> requests = {
      {.key = 1,
       .context = *kPrefix + "Q: 1?",
       .continuations = {" yes", " no, never", std::string(70, 'z')}},
      {.key = 2,
       .context = *kPrefix + "Q: 2?",
       .continuations = {" x", "", " a longer one"}},
      {.key = 3, .context = "", .continuations = {"abc"}}};
  const auto scores = generator->score(requests);
  ASSERT_EQ(scores.size(), 3u);
  for (size_t r = 0; r < 3; ++r) {
    EXPECT_EQ(scores[r].key, requests[r].key);
    std::vector<int> context = tokenizer.encode(requests[r].context, false);
    context.insert(context.begin(), tokenizer.bos());
    ASSERT_EQ(scores[r].continuations.size(), requests[r].continuations.size());
    for (size_t c = 0; c < scores[r].continuations.size(); ++c) {
      check_score(scores[r].continuations[c], *weights, context,
                  tokenizer.encode(requests[r].continuations[c], false));
    }
  }
}

// Contexts that share more or less with the one before, at any length, and
// continuations that are one row but for their last token.
TEST(Engine, ScoresDoNotDependOnWhatWasScoredBefore) {
  std::vector<generate::ScoreRequest> requests;
  for (const size_t shared : {0u, 20u, 37u, 64u, 65u, 90u, 90u, 33u}) {
    requests.push_back(
        {.context = std::string(shared, 's') +
                    std::string(3 + requests.size() % 3, char('a' + shared)),
         .continuations = {"y", "n", "yes", "yet", "n", ""}});
  }
  const auto generator = engine_of();
  const auto together = generator->score(requests);
  for (size_t r = 0; r < requests.size(); ++r) {
    for (size_t c = 0; c < requests[r].continuations.size(); ++c) {
      generate::ScoreRequest alone = requests[r];
      alone.continuations = {requests[r].continuations[c]};
      const auto want = engine_of()->score({alone});
      EXPECT_EQ(together[r].continuations[c].logprobs,
                want[0].continuations[0].logprobs)
          << "request " << r << ", continuation " << c;
    }
  }
}

TEST(Engine, ScoreRefusesWhatHasNoPlace) {
  EXPECT_THROW(engine_of()->score({{.continuations = {"abc"}}}), Error);
  EXPECT_THROW(engine_of()->score({{.context = "a",
                                    .continuations = {std::string(400, 'b')}}}),
               Error);
}

TEST(Engine, FingerprintNamesWhatMatters) {
  const std::string name = engine_of()->fingerprint();
  EXPECT_NE(name.find("tiny"), std::string::npos);
  EXPECT_NE(name, engine_of(kOptions, at::kBFloat16)->fingerprint());
  EngineOptions other = kOptions;
  other.max_context = 200;
  EXPECT_NE(name, engine_of(other)->fingerprint());
  other = kOptions;
  other.int8_prefix = true;
  EXPECT_NE(name, engine_of(other)->fingerprint());
}

TEST(Engine, RefusesWhatCannotBe) {
  EngineOptions none = kOptions;
  none.num_slots = 0;
  EXPECT_THROW(engine_of(none), Error);
  EXPECT_THROW(make_engine(tiny_weights({.vocab = 100}),
                           std::make_shared<ByteTokenizer>(), kOptions),
               Error);
  Request request;
  request.sampling.top_p = 2;
  EXPECT_THROW(engine_of()->generate([&] { return std::optional(request); },
                                     [](const Completion&) {}),
               Error);
}

}  // namespace
}  // namespace selfalign::engine
