// SPDX-License-Identifier: Apache-2.0
#include "engine/sequence_cache.h"

#include <gtest/gtest.h>

#include "engine/generation.h"
#include "engine/testing.h"

namespace selfalign::engine {
namespace {

using generate::Completion;
using generate::Request;

class FakeSequence : public Sequence {
 public:
  explicit FakeSequence(int64_t length) : Sequence(nullptr) {
    length_ = length;
  }
  void truncate(int64_t length) override { length_ = length; }
  std::unique_ptr<Sequence> cut_start(int64_t) override { return nullptr; }
};

void keep(SequenceCache& rows, const std::shared_ptr<Prefix>& prefix, int first,
          int64_t length) {
  std::vector<int> tokens(static_cast<size_t>(length), 7);
  tokens[0] = first;
  rows.keep(prefix, tokens, std::make_unique<FakeSequence>(length));
}

// Tokens in common, or 0 where none is given.
int64_t taken(SequenceCache& rows, const std::shared_ptr<Prefix>& prefix,
              int first, int64_t length) {
  std::vector<int> tokens(static_cast<size_t>(length), 7);
  tokens[0] = first;
  const auto sequence = rows.take(prefix, tokens);
  return sequence ? sequence->length() : 0;
}

TEST(SequenceCache, TheLongestStartInCommonIsGivenOnce) {
  SequenceCache rows(1000);
  keep(rows, nullptr, 1, 50);
  keep(rows, nullptr, 1, 90);
  keep(rows, nullptr, 1, 70);
  keep(rows, nullptr, 2, 100);
  EXPECT_EQ(taken(rows, nullptr, 3, 100), 0);
  EXPECT_EQ(taken(rows, nullptr, 1, 100), 90);
  EXPECT_EQ(taken(rows, nullptr, 1, 100), 70);
  EXPECT_EQ(taken(rows, nullptr, 2, 100), 99);  // one is left to feed
  EXPECT_EQ(taken(rows, nullptr, 1, 40), 39);
  EXPECT_EQ(taken(rows, nullptr, 1, 40), 0);
}

TEST(SequenceCache, AnotherPrefixIsAnotherText) {
  SequenceCache rows(1000);
  const auto prefix = std::make_shared<Prefix>();
  keep(rows, prefix, 1, 50);
  EXPECT_EQ(taken(rows, nullptr, 1, 60), 0);
  EXPECT_EQ(taken(rows, std::make_shared<Prefix>(), 1, 60), 0);
  EXPECT_EQ(taken(rows, prefix, 1, 60), 50);
}

TEST(SequenceCache, TheOldestMakesRoomAndPrefixesCount) {
  SequenceCache rows(200);
  const auto prefix = std::make_shared<Prefix>();
  prefix->tokens.assign(60, 1);
  keep(rows, nullptr, 1, 90);
  keep(rows, prefix, 2, 40);  // 100 with its prefix
  EXPECT_EQ(taken(rows, nullptr, 1, 100), 90);
  keep(rows, nullptr, 1, 90);
  keep(rows, nullptr, 3, 90);
  EXPECT_EQ(taken(rows, prefix, 2, 100), 0);
  EXPECT_EQ(taken(rows, nullptr, 1, 100), 90);
  EXPECT_EQ(taken(rows, nullptr, 3, 100), 90);
  keep(rows, nullptr, 4, 201);  // never has room
  EXPECT_EQ(taken(rows, nullptr, 4, 300), 0);
  keep(rows, nullptr, 5, 20);  // too short to be worth it
  EXPECT_EQ(taken(rows, nullptr, 5, 300), 0);
}

// Turns of a chat: each is fed what it says anew, and no bit changes.
TEST(SequenceCache, ATurnGoesOnFromTheOneBefore) {
  WatchedDecoder decoder;
  PrefixCache prefixes(decoder, 400);
  SequenceCache kept(400);
  const ByteTokenizer tokenizer;
  for (const bool has_prefix : {false, true}) {
    std::string history = has_prefix ? "" : "A beginning. ";
    for (uint64_t turn = 0; turn < 4; ++turn) {
      history += "User: a question of some length?\nAnswer:";
      Request request;
      request.key = turn;
      if (has_prefix) {
        request.prefix = std::make_shared<const std::string>("The system. ");
      }
      request.suffix = history;
      request.sampling.max_new_tokens = 12;
      request.sampling.ban_eos = true;
      Completion completion;
      decoder.num_tokens = 0;
      std::optional<Request> next = request;
      Generation({decoder, prefixes, kept, tokenizer, kTinyOptions, 260})
          .run([&] { return std::exchange(next, std::nullopt); },
               [&](Completion c) { completion = std::move(c); });
      const Completion alone = run(*engine_of(), {request}).at(turn);
      EXPECT_EQ(completion.text, alone.text);
      EXPECT_EQ(completion.logprob, alone.logprob);
      EXPECT_EQ(completion.num_prompt_tokens, alone.num_prompt_tokens);
      // The answer's bytes may be no UTF-8 and then come back as others.
      if (turn > 0) {
        EXPECT_LE(decoder.num_tokens, 80) << "turn " << turn;
      }
      history += completion.text + "\n";
    }
  }
}

}  // namespace
}  // namespace selfalign::engine
