// SPDX-License-Identifier: Apache-2.0
#include "engine/sequence_cache.h"

#include <gtest/gtest.h>

#include "engine/cpu_decoder.h"
#include "engine/generation.h"
#include "engine/kernels.h"
#include "engine/testing.h"

namespace selfalign::engine {
namespace {

using generate::Completion;
using generate::Request;

class FakeSequence : public Sequence {
 public:
  explicit FakeSequence(int64_t length) { length_ = length; }
  void truncate(int64_t length) override { length_ = length; }
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
  EXPECT_EQ(rows.find_prefix(prefix->tokens), nullptr);
  keep(rows, prefix, 2, 40);  // 100 with its prefix
  EXPECT_EQ(rows.find_prefix(std::vector<int>(60, 1)), prefix);
  EXPECT_EQ(rows.find_prefix(std::vector<int>(60, 2)), nullptr);
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

class CountingDecoder : public Decoder {
 public:
  std::unique_ptr<Sequence> new_sequence(int64_t max_tokens,
                                         bool shared) override {
    return decoder_->new_sequence(max_tokens, shared);
  }
  const float* forward(const Sequence* prefix, const std::vector<Span>& spans,
                       const std::vector<int64_t>& wanted) override {
    for (const Span& span : spans) num_tokens += span.count;
    return decoder_->forward(prefix, spans, wanted);
  }
  bool packs_texts() const override { return true; }
  int64_t cache_bytes() const override { return 0; }

  int64_t num_tokens = 0;

 private:
  std::unique_ptr<Decoder> decoder_ = make_cpu_decoder(
      *tiny_weights(),
      {.num_slots = 4, .prefill_chunk = 32, .max_context = 400}, kernels());
};

// Turns of a chat: each is fed what it says anew, and no bit changes.
TEST(SequenceCache, ATurnGoesOnFromTheOneBefore) {
  CountingDecoder decoder;
  PrefixCache prefixes;
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
