// SPDX-License-Identifier: Apache-2.0
#include "serve/api_reply.h"

#include <gtest/gtest.h>

#include "serve/testing.h"

namespace selfalign::serve {
namespace {

const ByteTokenizer kBytes;

// Two bytes of a character apart, as byte-level tokenizers cut them.
TEST(ApiReplyTest, PartsOfACharacterHaveNamesOfTheirOwn) {
  const std::vector<TokenEntry> entries = {
      {'a', std::nullopt, {}},
      {0xc3, -0.5F, {{0xc3, -0.5F}, {0xc4, -1.0F}}},
      {0xa9, -0.25F, {{'b', -0.125F}}},
      {'z', -2.0F, {}}};
  const Json lists = completion_logprobs(entries, kBytes);
  EXPECT_EQ(lists["tokens"], Json({"a", "bytes:\\xc3", "bytes:\\xa9", "z"}));
  EXPECT_EQ(lists["text_offset"], Json({0, 1, 2, 2}));
  EXPECT_EQ(lists["token_logprobs"], Json({nullptr, -0.5, -0.25, -2.0}));
  EXPECT_TRUE(lists["top_logprobs"][0].is_null());
  EXPECT_EQ(lists["top_logprobs"][1],
            Json({{"bytes:\\xc3", -0.5}, {"bytes:\\xc4", -1.0}}));
  // The token itself is among them, whatever its rank.
  EXPECT_EQ(lists["top_logprobs"][2],
            Json({{"b", -0.125}, {"bytes:\\xa9", -0.25}}));
  const Json content = chat_logprobs(entries, kBytes)["content"];
  EXPECT_EQ(content[1]["bytes"], Json::array({0xc3}));
  EXPECT_EQ(content[1]["top_logprobs"][1]["token"], "bytes:\\xc4");
}

// Tokens of a stop string were sampled and are not part of the text.
TEST(ApiReplyTest, EntriesReachAsFarAsTheText) {
  generate::Completion completion;
  completion.text = "ab";
  completion.tokens = {'a', 'b', '#', '#'};
  completion.token_logprobs = {-1, -2, -3, -4};
  const auto entries = completion_entries(completion, kBytes);
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[1].id, 'b');
  EXPECT_EQ(entries[1].logprob, -2.0F);
  completion.text = "";
  EXPECT_TRUE(completion_entries(completion, kBytes).empty());
}

TEST(ApiReplyTest, ScoresStandAfterWhatHasNone) {
  generate::ContinuationScore score;
  score.tokens = {'b', 'c', 0};
  score.logprobs = {-1, -2, -3};
  score.top_logprobs = {{{'b', -1}}, {{'c', -2}}, {{'d', -0.5F}}};
  const auto entries = prompt_entries({'a', 'b', 'c'}, 1, score);
  ASSERT_EQ(entries.size(), 3u);
  EXPECT_FALSE(entries[0].logprob.has_value());
  EXPECT_EQ(entries[2].logprob, -2.0F);
  EXPECT_EQ(entries[2].top[0].token, 'c');
  EXPECT_THROW(prompt_entries({'a', 'b', 'c'}, 1, {}), std::out_of_range);
}

TEST(ApiReplyTest, EventsOfAChat) {
  const ReplyHead head{"chatcmpl-1", 7, "m", "fp_1"};
  Choice choice;
  EXPECT_EQ(chat_event(head, choice, true, kBytes)["choices"][0]["delta"],
            Json({{"role", "assistant"}, {"content", ""}}));
  choice.finish_reason = "stop";
  const Json last = chat_event(head, choice, false, kBytes);
  EXPECT_EQ(last["choices"][0]["delta"], Json::object());
  EXPECT_EQ(last["choices"][0]["finish_reason"], "stop");
  EXPECT_EQ(last["object"], "chat.completion.chunk");
  EXPECT_EQ(usage_event(head, true, {3, 4})["usage"]["total_tokens"], 7);
}

}  // namespace
}  // namespace selfalign::serve
