// SPDX-License-Identifier: Apache-2.0
#include "generate/scripted.h"

#include <gtest/gtest.h>

#include <map>

#include "base/error.h"
#include "base/interrupt.h"

namespace selfalign::generate {
namespace {

Request request_of(uint64_t key) {
  Request request;
  request.key = key;
  request.prefix = std::make_shared<const std::string>("one two ");
  request.suffix = "three";
  return request;
}

std::vector<Completion> run(Generator& generator, std::vector<Request> all) {
  std::vector<Completion> completions;
  size_t next = 0;
  generator.generate(
      [&]() -> std::optional<Request> {
        if (next == all.size()) return std::nullopt;
        return all[next++];
      },
      [&](Completion c) { completions.push_back(std::move(c)); });
  return completions;
}

TEST(Finish, NamesAreReadBack) {
  for (Finish finish :
       {Finish::kStop, Finish::kLength, Finish::kNoRoom, Finish::kCancelled}) {
    EXPECT_EQ(finish_from_name(finish_name(finish)), finish);
  }
  EXPECT_THROW(finish_from_name("done"), Error);
}

TEST(Scripted, TextDependsOnTheKeyAndNotOnOrderOrSlots) {
  std::map<uint64_t, std::string> texts;
  std::vector<Request> forward, backward;
  for (uint64_t key = 0; key < 20; ++key) forward.push_back(request_of(key));
  backward.assign(forward.rbegin(), forward.rend());
  for (auto& c : run(*make_scripted_generator({}), forward)) {
    texts[c.key] = c.text;
  }
  EXPECT_EQ(texts.size(), 20u);
  ScriptedOptions narrow;
  narrow.num_slots = 1;
  for (auto& c : run(*make_scripted_generator(narrow), backward)) {
    EXPECT_EQ(c.text, texts[c.key]);
  }
}

TEST(Scripted, CompletionsComeOutOfOrder) {
  std::vector<Request> all;
  for (uint64_t key = 0; key < 20; ++key) all.push_back(request_of(key));
  const std::vector<Completion> done = run(*make_scripted_generator({}), all);
  bool sorted = true;
  for (size_t i = 1; i < done.size(); ++i) {
    sorted = sorted && done[i - 1].key < done[i].key;
  }
  EXPECT_FALSE(sorted);
}

TEST(Scripted, StopStringsAndLengthHold) {
  ScriptedOptions options;
  options.script = [](const Request&) { return "a b c\nEND d e"; };
  auto generator = make_scripted_generator(options);
  Request request = request_of(1);
  request.sampling.stop = {"\nEND"};
  request.want_logprobs = true;
  Completion c = run(*generator, {request}).at(0);
  EXPECT_EQ(c.text, "a b c");
  EXPECT_EQ(c.finish, Finish::kStop);
  EXPECT_EQ(c.num_tokens, 3);
  EXPECT_EQ(c.num_prompt_tokens, 3);
  EXPECT_EQ(c.tokens.size(), 3u);
  request.sampling.max_new_tokens = 2;
  c = run(*generator, {request}).at(0);
  EXPECT_EQ(c.text, "a b");
  EXPECT_EQ(c.finish, Finish::kLength);
}

TEST(Scripted, NextIsAskedAgainAfterACompletion) {
  auto generator = make_scripted_generator({});
  int given = 0;
  int done = 0;
  generator->generate(
      [&]() -> std::optional<Request> {
        if (given > done || given == 5) return std::nullopt;  // one at a time
        return request_of(static_cast<uint64_t>(given++));
      },
      [&](Completion) { ++done; });
  EXPECT_EQ(done, 5);
}

TEST(Scripted, TextIsStreamedWordByWord) {
  ScriptedOptions options;
  options.script = [](const Request&) { return "a b c\nEND d e"; };
  auto generator = make_scripted_generator(options);
  Request request = request_of(1);
  request.sampling.stop = {"\nEND"};
  std::vector<std::string> pieces;
  request.on_text = [&](std::string_view text) {
    if (!text.empty()) pieces.emplace_back(text);
    return true;
  };
  EXPECT_EQ(run(*generator, {request}).at(0).text, "a b c");
  EXPECT_EQ(pieces, (std::vector<std::string>{"a", " b", " c"}));
}

TEST(Scripted, WhoIsNotWantedIsCancelled) {
  auto generator = make_scripted_generator({});
  std::vector<Request> all = {request_of(1), request_of(2), request_of(3)};
  all[0].on_text = [](std::string_view) { return false; };
  all[1].on_text = [](std::string_view text) { return text.empty(); };
  size_t num_words = 0;
  for (const Completion& c : run(*generator, all)) {
    EXPECT_EQ(c.finish, c.key == 3 ? Finish::kStop : Finish::kCancelled);
    if (c.key == 1) {
      EXPECT_EQ(c.text, "");
    }
    if (c.key == 2) {
      EXPECT_EQ(c.num_tokens, 1);
    }
    num_words += static_cast<size_t>(c.num_tokens);
  }
  EXPECT_GT(num_words, 5u);
}

TEST(Scripted, TokensInsteadOfText) {
  auto generator = make_scripted_generator({});
  Request request;
  request.prompt_tokens = {5, 6, 7};
  EXPECT_EQ(run(*generator, {request}).at(0).num_prompt_tokens, 3);
  request.prompt_tokens = {kScriptedVocab};
  EXPECT_THROW(run(*generator, {request}), Error);
  EXPECT_THROW(generator->check(request), Error);
  ScoreRequest score{.key = 4,
                     .context_tokens = {1},
                     .continuation_tokens = {{2, 3}, {}, {2}},
                     .num_top_logprobs = 2};
  const Scores scores = generator->score({score}).at(0);
  ASSERT_EQ(scores.continuations.size(), 3u);
  EXPECT_EQ(scores.continuations[0].tokens, (std::vector<int>{2, 3}));
  EXPECT_EQ(scores.continuations[0].logprobs[0],
            scores.continuations[2].logprobs[0]);
  const auto& top = scores.continuations[0].top_logprobs.at(1);
  ASSERT_EQ(top.size(), 2u);
  EXPECT_GT(top[0].logprob, top[1].logprob);
  score.context_tokens.clear();
  EXPECT_THROW(generator->score({score}), Error);
}

TEST(Scripted, AnInterruptReturnsEarly) {
  auto generator = make_scripted_generator({});
  uint64_t given = 0;
  int done = 0;
  generator->generate([&] { return request_of(given++); },
                      [&](Completion) { set_interrupted(++done == 3); });
  set_interrupted(false);
  EXPECT_EQ(done, 3);
}

TEST(Scripted, ScoresDependOnContextAndFingerprint) {
  ScriptedOptions other;
  other.fingerprint = "tuned";
  const std::vector<ScoreRequest> requests = {
      {.key = 7, .context = "context", .continuations = {" a b", " c"}}};
  const Scores a = make_scripted_generator({})->score(requests).at(0);
  const Scores b = make_scripted_generator(other)->score(requests).at(0);
  EXPECT_EQ(a.key, 7u);
  ASSERT_EQ(a.continuations.size(), 2u);
  EXPECT_EQ(a.continuations[0].logprobs.size(), 2u);
  EXPECT_NE(a.continuations[0].logprobs, b.continuations[0].logprobs);
}

}  // namespace
}  // namespace selfalign::generate
