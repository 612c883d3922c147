// SPDX-License-Identifier: Apache-2.0
// What a server asks of the engine beside text in, text out.
#include <gtest/gtest.h>

#include <algorithm>

#include "base/error.h"
#include "engine/engine.h"
#include "engine/generation.h"
#include "engine/sampler.h"
#include "engine/testing.h"
#include "text/words.h"

namespace selfalign::engine {
namespace {

using generate::Completion;
using generate::Finish;
using generate::Request;
using generate::ScoreRequest;

std::vector<int> bytes_of(const std::string& text) {
  return ByteTokenizer().encode(text, false);
}

Request request_of(uint64_t key, const std::string& suffix, int new_tokens) {
  Request request;
  request.key = key;
  request.suffix = suffix;
  request.sampling.max_new_tokens = new_tokens;
  request.sampling.ban_eos = true;
  return request;
}

TEST(Requests, TokensAreTheSameAsTheirText) {
  std::vector<Request> texts, tokens;
  for (uint64_t key = 0; key < 9; ++key) {
    texts.push_back(request_of(key, std::string(1 + key * 7, 'k'), 12));
    texts.back().sampling.repetition_penalty = 1.3;
    tokens.push_back(texts.back());
    tokens.back().prompt_tokens = bytes_of(texts.back().suffix);
    tokens.back().suffix = "not read";
    tokens.back().prefix = std::make_shared<const std::string>("nor this");
  }
  const Completions by_text = run(*engine_of(), texts);
  for (const auto& [key, c] : run(*engine_of(), tokens)) {
    EXPECT_EQ(c.text, by_text.at(key).text);
    EXPECT_EQ(c.logprob, by_text.at(key).logprob);
    EXPECT_EQ(c.num_prompt_tokens, by_text.at(key).num_prompt_tokens);
  }
}

TEST(Requests, NoBosIsPutBeforeTokens) {
  const auto generator = make_engine(
      tiny_weights(), std::make_shared<ByteTokenizer>(true), kTinyOptions);
  Request request = request_of(1, "", 3);
  request.prompt_tokens = bytes_of("abc");
  EXPECT_EQ(run(*generator, {request}).at(1).num_prompt_tokens, 3);
}

TEST(Requests, CheckFindsWhatGenerateWouldThrow) {
  const auto generator = engine_of();
  const auto refused = [&](const Request& request) {
    EXPECT_ANY_THROW(generator->check(request));
    EXPECT_THROW(run(*generator, {request}), Error);
  };
  Request request = request_of(1, "x", 3);
  generator->check(request);
  request.prompt_tokens = {258};  // in the padded vocabulary of the model only
  refused(request);
  request.prompt_tokens = {-1};
  refused(request);
  request.prompt_tokens = {257};
  generator->check(request);
  request.sampling.top_p = 2;
  refused(request);
  request.sampling.top_p = 1;
  for (int id = 0; id < 258; ++id) {
    if (id != 256) request.sampling.logit_bias[id] = -INFINITY;
  }
  refused(request);  // ban_eos bans the last one
  request.sampling.ban_eos = false;
  generator->check(request);
  EXPECT_EQ(run(*generator, {request}).at(1).num_tokens, 0);
}

TEST(Requests, TopLogprobsAreThoseOfTheModel) {
  const auto weights = tiny_weights();
  Request request = request_of(1, "What?", 6);
  request.sampling.logit_bias[7] = 2.0;  // not seen in log-probabilities
  request.want_logprobs = true;
  request.num_top_logprobs = 5;
  const Completion c = run(*engine_of(), {request}).at(1);
  ASSERT_EQ(c.top_logprobs.size(), 6u);
  std::vector<int> tokens = bytes_of("What?");
  for (size_t i = 0; i < 6; ++i) {
    const at::Tensor logits =
        reference_logits(*weights, tokens)[-1].slice(0, 0, 258).contiguous();
    const float* p = logits.const_data_ptr<float>();
    const auto want = most_probable(p, 258, 5, log_sum_exp(p, 258));
    ASSERT_EQ(c.top_logprobs[i].size(), 5u);
    for (size_t k = 0; k < 5; ++k) {
      EXPECT_EQ(c.top_logprobs[i][k].token, want[k].token);
      EXPECT_NEAR(c.top_logprobs[i][k].logprob, want[k].logprob, 1e-4);
    }
    tokens.push_back(c.tokens[i]);
  }
  request.num_top_logprobs = 0;
  EXPECT_TRUE(run(*engine_of(), {request}).at(1).top_logprobs.empty());
}

TEST(Requests, StreamedTextIsTheText) {
  std::vector<Request> requests;
  for (uint64_t key = 0; key < 12; ++key) {
    requests.push_back(request_of(key, std::string(key * 9, 'u'), 40));
    requests.back().sampling.ban_eos = key % 2 == 0;
    requests.back().sampling.stop = {"\xc3", "e", "ab"};
  }
  const Completions plain = run(*engine_of(), requests);
  std::map<uint64_t, std::string> texts;
  size_t num_pieces = 0;
  for (Request& request : requests) {
    request.on_text = [&, key = request.key](std::string_view piece) {
      EXPECT_TRUE(text::is_valid_utf8(piece));
      texts[key] += piece;
      num_pieces += piece.empty() ? 0 : 1;
      return true;
    };
  }
  size_t size = 0;
  for (const auto& [key, c] : run(*engine_of(), requests)) {
    EXPECT_EQ(c.text, plain.at(key).text);
    EXPECT_EQ(texts[key], c.text);
    EXPECT_EQ(c.finish, plain.at(key).finish);
    size += c.text.size();
  }
  EXPECT_GT(size, 40u);
  EXPECT_GT(num_pieces, 40u);
}

TEST(Requests, ACancelledRowFreesItsSlotAndChangesNoOther) {
  EngineOptions options = kTinyOptions;
  options.num_slots = 2;
  std::vector<Request> requests;
  for (uint64_t key = 0; key < 6; ++key) {
    requests.push_back(request_of(key, "go on", 30));
  }
  const Completions plain = run(*engine_of(options), requests);
  std::string streamed;
  requests[1].on_text = [&](std::string_view piece) {
    streamed += piece;
    return streamed.size() < 8;
  };
  // Cancelled while its prompt is read, which takes several steps.
  requests[3].suffix = std::string(300, 'p');
  requests[3].on_text = [](std::string_view) { return false; };
  const Completions some = run(*engine_of(options), requests);
  for (const auto& [key, c] : some) {
    if (key == 1) {
      EXPECT_EQ(c.finish, Finish::kCancelled);
      EXPECT_EQ(c.text, streamed);
      EXPECT_TRUE(plain.at(1).text.starts_with(streamed));
      EXPECT_LT(c.num_tokens, 30);
    } else if (key == 3) {
      EXPECT_EQ(c.finish, Finish::kCancelled);
      EXPECT_EQ(c.num_tokens, 0);
    } else {
      EXPECT_EQ(c.text, plain.at(key).text);
    }
  }
}

// One row runs; the second is offered only after some of its steps.
TEST(Requests, ARequestThatComesLateJoinsAtTheNextStep) {
  const std::vector<Request> requests = {request_of(0, "first", 40),
                                         request_of(1, "second", 3)};
  const Completions alone = run(*engine_of(), requests);
  size_t asked = 0;
  std::vector<uint64_t> order;
  engine_of()->generate(
      [&]() -> std::optional<Request> {
        ++asked;
        if (asked == 1) return requests[0];
        if (asked == 10) return requests[1];
        return std::nullopt;
      },
      [&](const Completion& c) {
        order.push_back(c.key);
        EXPECT_EQ(c.text, alone.at(c.key).text);
      });
  EXPECT_EQ(order, (std::vector<uint64_t>{1, 0}));
}

// Rows of a prefix do not wait for those of another one to end, whether the
// prefixes begin alike or not.
TEST(Requests, RowsOfSeveralPrefixesRunSideBySide) {
  std::vector<Request> requests;
  for (uint64_t key = 0; key < 36; ++key) {
    requests.push_back(request_of(key, "go on", key == 0 ? 90 : 4));
    if (key % 9 == 0) continue;
    requests.back().prefix = std::make_shared<const std::string>(
        std::string(key % 9 < 5 ? 150 : 10, 'p') +
        std::string(key % 9 * 9, 'q') + ": ");
  }
  Completions alone;
  for (const Request& request : requests) {
    alone.merge(run(*engine_of(), {request}));
  }
  size_t next = 0;
  std::vector<uint64_t> order;
  engine_of()->generate(
      [&]() -> std::optional<Request> {
        if (next == requests.size()) return std::nullopt;
        return requests[next++];
      },
      [&](const Completion& c) {
        order.push_back(c.key);
        EXPECT_EQ(c.text, alone.at(c.key).text);
        EXPECT_EQ(c.logprob, alone.at(c.key).logprob);
      });
  ASSERT_EQ(order.size(), requests.size());
  EXPECT_GT(std::find(order.begin(), order.end(), 0) - order.begin(), 30);
}

// Those of one prefix, and of prefixes that begin alike, stand beside each
// other in every pass, and what prefixes have in common is read once.
TEST(Requests, RowsStandInTheOrderOfTheirPrefixes) {
  const std::string common(128, 'c');
  std::vector<Request> requests;
  for (uint64_t key = 0; key < 8; ++key) {
    requests.push_back(request_of(key, "go on", 6));
    requests.back().prefix = std::make_shared<const std::string>(
        (key % 2 == 0 ? common : "") + std::string(40, char('p' + key % 4)));
  }
  WatchedDecoder decoder(8);
  PrefixCache prefixes(decoder, 400);
  SequenceCache kept(400);
  const ByteTokenizer tokenizer;
  EngineOptions options = kTinyOptions;
  options.num_slots = 8;
  size_t next = 0;
  Generation({decoder, prefixes, kept, tokenizer, options, 260})
      .run(
          [&]() -> std::optional<Request> {
            if (next == requests.size()) return std::nullopt;
            return requests[next++];
          },
          [](const Completion&) {});
  // 128 once, 39 of each of four, and of each row its prefix's last, five of
  // its own and all that it says but the last.
  EXPECT_EQ(decoder.num_tokens, 128 + 4 * 39 + 8 * (1 + 5 + 5));
  size_t most = 0;
  for (const std::vector<const Sequence*>& pass : decoder.passes) {
    std::vector<const Sequence*> seen;
    for (const Sequence* before : pass) {
      if (!seen.empty() && seen.back() == before) continue;
      EXPECT_EQ(std::count(seen.begin(), seen.end(), before), 0);
      seen.push_back(before);
    }
    most = std::max(most, seen.size());
  }
  EXPECT_EQ(most, 4u);
}

TEST(Requests, ScoresMayBeAskedForBetweenSteps) {
  const std::vector<ScoreRequest> scored = {
      {.context = std::string(70, 'c'), .continuations = {" yes", " no"}}};
  const auto generator = engine_of();
  const auto want = generator->score(scored);
  std::vector<Request> requests;
  for (uint64_t key = 0; key < 10; ++key) {
    requests.push_back(request_of(key, "text", 5 + int(key)));
    requests.back().prefix = std::make_shared<const std::string>("Before. ");
  }
  const Completions plain = run(*generator, requests);
  size_t next = 0, num_scored = 0;
  const auto score = [&] {
    const auto scores = generator->score(scored);
    for (size_t i = 0; i < 2; ++i) {
      EXPECT_EQ(scores[0].continuations[i].logprobs,
                want[0].continuations[i].logprobs);
    }
    ++num_scored;
  };
  generator->generate(
      [&]() -> std::optional<Request> {
        score();
        if (next == requests.size()) return std::nullopt;
        return requests[next++];
      },
      [&](const Completion& c) {
        score();
        EXPECT_EQ(c.text, plain.at(c.key).text);
      });
  EXPECT_GT(num_scored, 20u);
}

// In parts, between steps and side by side, with all slots taken: what is
// scored and what is generated is the same to the bit.
TEST(Requests, WholeTextsAreScoredInPartsBetweenSteps) {
  std::vector<ScoreRequest> texts;
  for (const char letter : {'a', 'b', 'c'}) {
    const std::vector<int> ids = bytes_of(str(std::string(150, letter), "bcd"));
    texts.push_back({.key = texts.size(),
                     .context_tokens = {ids[0]},
                     .continuation_tokens = {{ids.begin() + 1, ids.end()}},
                     .num_top_logprobs = 2});
  }
  std::vector<generate::Scores> want;
  want.reserve(texts.size());
  for (const ScoreRequest& text : texts) {
    want.push_back(engine_of()->score({text}).at(0));
  }
  std::vector<Request> requests;
  for (uint64_t key = 0; key < 4; ++key) {
    requests.push_back(request_of(key, "text", 60));
  }
  const Completions plain = run(*engine_of(), requests);
  const auto generator = engine_of();
  std::vector<std::unique_ptr<generate::Scoring>> under_way;
  under_way.reserve(texts.size());
  for (const ScoreRequest& text : texts) {
    under_way.push_back(generator->begin_score(text));
  }
  std::vector<int> num_parts(texts.size());
  size_t num_steps = 0, num_ended = 0;
  generator->when_stepped([&] {
    const size_t i = num_steps++ % texts.size();
    if (under_way[i] == nullptr) return;
    ++num_parts[i];
    if (!under_way[i]->advance()) return;
    const auto& found = under_way[i]->scores;
    EXPECT_EQ(found.key, want[i].key);
    ASSERT_EQ(found.continuations.size(), 1u);
    const auto& a = found.continuations[0];
    const auto& b = want[i].continuations[0];
    EXPECT_EQ(a.tokens, b.tokens);
    EXPECT_EQ(a.logprobs, b.logprobs);
    EXPECT_EQ(a.is_greedy, b.is_greedy);
    ASSERT_EQ(a.top_logprobs.size(), b.top_logprobs.size());
    for (size_t t = 0; t < a.top_logprobs.size(); ++t) {
      EXPECT_EQ(a.top_logprobs[t][0].logprob, b.top_logprobs[t][0].logprob);
    }
    under_way[i].reset();
    ++num_ended;
  });
  size_t next = 0;
  generator->generate(
      [&]() -> std::optional<Request> {
        if (next == requests.size()) return std::nullopt;
        return requests[next++];
      },
      [&](const Completion& c) { EXPECT_EQ(c.text, plain.at(c.key).text); });
  EXPECT_EQ(num_ended, texts.size());
  for (const int count : num_parts) EXPECT_EQ(count, 5);  // 152 by 32
  // One that is given up in the middle leaves what is right.
  for (const size_t i : {0u, 1u, 2u}) {
    const auto given_up = generator->begin_score(texts[i]);
    given_up->advance();
    given_up->advance();
  }
  for (size_t i = 0; i < texts.size(); ++i) {
    EXPECT_EQ(generator->score({texts[i]})[0].continuations[0].logprobs,
              want[i].continuations[0].logprobs);
  }
}

// A long prefix is computed a chunk a step, while the other rows go on, and is
// done once though the row that it was begun for is given up.
TEST(Requests, ALongPrefixHoldsUpNoOtherRow) {
  Request behind = request_of(2, "go on", 5);
  behind.prefix = std::make_shared<const std::string>(300, 'p');
  const Completions alone = run(*engine_of(), {behind});
  Request given_up = behind;
  given_up.key = 1;
  size_t num_asked = 0;
  given_up.on_text = [&](std::string_view) { return ++num_asked < 3; };
  std::vector<Request> requests = {request_of(0, "first", 40), given_up};
  const auto generator = engine_of();
  size_t num_steps = 0, said_by_then = 0, said = 0;
  requests[0].on_text = [&](std::string_view) {
    ++said;
    return true;
  };
  generator->when_stepped([&] { ++num_steps; });
  size_t next = 0;
  generator->generate(
      [&]() -> std::optional<Request> {
        if (next < requests.size()) return requests[next++];
        if (num_steps == 5 && next == requests.size()) {
          ++next;
          return behind;
        }
        return std::nullopt;
      },
      [&](const Completion& c) {
        if (c.key == 1) {
          EXPECT_EQ(c.finish, Finish::kCancelled);
          EXPECT_EQ(num_steps, 2u);
        }
        if (c.key != 2) return;
        said_by_then = said;
        EXPECT_EQ(c.text, alone.at(2).text);
        EXPECT_EQ(c.logprob, alone.at(2).logprob);
      });
  // 299 tokens by 32 are ten steps, three of them for the first, and five
  // tokens of its own; a token of the other row in each.
  EXPECT_GE(said_by_then, 14u);
}

TEST(Requests, ScoresOfTokens) {
  const auto generator = engine_of();
  const ScoreRequest text{.context = "The context",
                          .continuations = {" yes", "", " or no"}};
  ScoreRequest tokens{.context_tokens = bytes_of(text.context),
                      .num_top_logprobs = 3};
  for (const std::string& c : text.continuations) {
    tokens.continuation_tokens.push_back(bytes_of(c));
  }
  const auto scores = generator->score({text, tokens});
  ASSERT_EQ(scores[1].continuations.size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    const auto& one = scores[1].continuations[i];
    EXPECT_EQ(one.tokens, scores[0].continuations[i].tokens);
    EXPECT_EQ(one.logprobs, scores[0].continuations[i].logprobs);
    EXPECT_TRUE(scores[0].continuations[i].top_logprobs.empty());
    ASSERT_EQ(one.top_logprobs.size(), one.tokens.size());
    for (size_t t = 0; t < one.tokens.size(); ++t) {
      ASSERT_EQ(one.top_logprobs[t].size(), 3u);
      const auto& best = one.top_logprobs[t][0];
      EXPECT_EQ(best.token == one.tokens[t], one.is_greedy[t]);
      EXPECT_GE(best.logprob, one.logprobs[t]);
    }
  }
}

// Texts that begin alike are not computed twice, which no figure shows.
TEST(Requests, WholeTextsDoNotDependOnTheOneBefore) {
  const std::vector<std::pair<std::string, int>> texts = {
      {"A preset of sixty-four bytes or more, so that it fills a page: 1", 2},
      {"A preset of sixty-four bytes or more, so that it fills a page: 2!", 2},
      {"A preset of sixty-four bytes or more, so that", 1},
      {"A preset of sixty-four bytes or more, so that", 3},
      {"A preset of sixty-four bytes or more, so that it ends", 0},
      {"A preset of sixty-four bytes or more, so that it ends", 0},
      {"B preset of sixty-four bytes", 0},
      {"Another", 0}};
  const auto request_for = [](const std::pair<std::string, int>& text) {
    const std::vector<int> ids = bytes_of(text.first);
    return ScoreRequest{.context_tokens = {ids[0]},
                        .continuation_tokens = {{ids.begin() + 1, ids.end()}},
                        .num_top_logprobs = text.second};
  };
  const auto generator = engine_of();
  for (const auto& text : texts) {
    const auto found = generator->score({request_for(text)});
    const auto want = engine_of()->score({request_for(text)});
    const auto& a = found[0].continuations[0];
    const auto& b = want[0].continuations[0];
    EXPECT_EQ(a.tokens, b.tokens);
    EXPECT_EQ(a.logprobs, b.logprobs);
    EXPECT_EQ(a.is_greedy, b.is_greedy);
    ASSERT_EQ(a.top_logprobs.size(), b.top_logprobs.size());
    for (size_t i = 0; i < a.top_logprobs.size(); ++i) {
      ASSERT_EQ(a.top_logprobs[i].size(), b.top_logprobs[i].size());
      for (size_t k = 0; k < a.top_logprobs[i].size(); ++k) {
        EXPECT_EQ(a.top_logprobs[i][k].token, b.top_logprobs[i][k].token);
        EXPECT_EQ(a.top_logprobs[i][k].logprob, b.top_logprobs[i][k].logprob);
      }
    }
    // A context in between, of which nothing was scored.
    if (text.second != 1) continue;
    generator->score({{.context = text.first, .continuations = {" yes"}}});
  }
}

TEST(Requests, AllOfATextButItsFirstTokenIsScored) {
  const auto generator = engine_of();
  const std::vector<int> ids = bytes_of("A text of its own.");
  const auto scores = generator->score(
      {{.context_tokens = {ids[0]},
        .continuation_tokens = {{ids.begin() + 1, ids.end()}}}});
  const at::Tensor want =
      at::log_softmax(reference_logits(*tiny_weights(), ids), -1);
  const auto& one = scores.at(0).continuations.at(0);
  ASSERT_EQ(one.logprobs.size(), ids.size() - 1);
  for (size_t i = 0; i + 1 < ids.size(); ++i) {
    EXPECT_NEAR(one.logprobs[i], want[int64_t(i)][ids[i + 1]].item<float>(),
                2e-4);
  }
  EXPECT_THROW(generator->score({{.continuation_tokens = {ids}}}), Error);
  EXPECT_THROW(generator->score(
                   {{.context_tokens = {1}, .continuation_tokens = {{258}}}}),
               Error);
}

}  // namespace
}  // namespace selfalign::engine
