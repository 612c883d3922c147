// SPDX-License-Identifier: Apache-2.0
#include "generate/prompt_tokens.h"

#include <gmock/gmock.h>

#include <memory>

#include "text/byte_bpe.h"
#include "text/sentencepiece.h"

namespace selfalign::generate {
namespace {

using testing::ElementsAre;

// 0 unknown, 1 <s>, 2 </s>, then the pieces below.
std::unique_ptr<text::Tokenizer> words() {
  using text::TokenType;
  text::SentencePieceVocabulary v;
  v.where = "words";
  v.pieces = {"<unk>", "<s>", "</s>", "\u2581", "a", "b", "\u2581a", "ab"};
  v.types.assign(v.pieces.size(), TokenType::kNormal);
  v.types[0] = TokenType::kUnknown;
  v.types[1] = v.types[2] = TokenType::kControl;
  for (size_t i = 0; i < v.pieces.size(); ++i) {
    v.scores.push_back(static_cast<float>(i));
  }
  v.byte_fallback = false;
  return text::make_sentencepiece(std::move(v));
}
constexpr int kBos = 1, kSpace = 3, kA = 4, kB = 5, kSpaceA = 6, kAb = 7;

Request request(const std::string& prefix, const std::string& suffix,
                std::vector<size_t> cuts = {}) {
  Request request;
  if (!prefix.empty()) {
    request.prefix = std::make_shared<const std::string>(prefix);
  }
  request.suffix = suffix;
  request.cuts = std::move(cuts);
  return request;
}

TEST(PromptTokensTest, PrefixAndSuffixAreOneText) {
  const auto t = words();
  const PromptTokens whole = tokenize_prompt(request("", "b a"), *t);
  EXPECT_THAT(whole.ids, ElementsAre(kBos, kSpace, kB, kSpaceA));
  EXPECT_EQ(whole.suffix_begin, 1u);
  EXPECT_FALSE(whole.has_prefix);
  const PromptTokens cut = tokenize_prompt(request("b", " a"), *t);
  EXPECT_EQ(cut.ids, whole.ids);
  EXPECT_EQ(cut.suffix_begin, 3u);
  EXPECT_TRUE(cut.has_prefix);
  // The space belongs to the word behind it, which is the suffix's.
  const PromptTokens late = tokenize_prompt(request("b ", "a"), *t);
  EXPECT_EQ(late.ids, whole.ids);
  EXPECT_EQ(late.suffix_begin, 3u);
  EXPECT_EQ(tokenize_prompt(request("b a", ""), *t).ids, whole.ids);
}

TEST(PromptTokensTest, PiecesGoOnAndStandApart) {
  const auto t = words();
  // In one piece "ab" is a token.
  EXPECT_THAT(tokenize_prompt(request("", "bab"), *t).ids,
              ElementsAre(kBos, kSpace, kB, kAb));
  EXPECT_THAT(tokenize_prompt(request("", "bab", {2}), *t).ids,
              ElementsAre(kBos, kSpace, kB, kA, kB));
  EXPECT_THAT(tokenize_prompt(request("b", "ab", {1}), *t).ids,
              ElementsAre(kBos, kSpace, kB, kA, kB));
  // The first piece that is not empty starts the text.
  EXPECT_THAT(tokenize_prompt(request("", "a", {0}), *t).ids,
              ElementsAre(kBos, kSpaceA));
  EXPECT_THAT(tokenize_prompt(request("", "aa", {1, 1, 2}), *t).ids,
              ElementsAre(kBos, kSpaceA, kA));
}

TEST(PromptTokensTest, IdsStayAsTheyAre) {
  Request ids = request("b", "a");
  ids.prompt_tokens = {kB, kB};
  const PromptTokens prompt = tokenize_prompt(ids, *words());
  EXPECT_THAT(prompt.ids, ElementsAre(kB, kB));
  EXPECT_EQ(prompt.suffix_begin, 0u);
  EXPECT_FALSE(prompt.has_prefix);
}

TEST(EncodePairTest, ATokenAcrossTheBorderIsTheTails) {
  const auto t = words();
  const text::TokenPair apart = encode_pair(*t, "b", " a");
  EXPECT_THAT(apart.head, ElementsAre(kSpace, kB));
  EXPECT_THAT(apart.tail, ElementsAre(kSpaceA));
  const text::TokenPair moved = encode_pair(*t, "b ", "a");
  EXPECT_EQ(moved.head, apart.head);
  EXPECT_EQ(moved.tail, apart.tail);
  EXPECT_THAT(encode_pair(*t, "", "a").tail, ElementsAre(kSpaceA));
  EXPECT_THAT(encode_pair(*t, "a", "").head, ElementsAre(kSpaceA));
  EXPECT_TRUE(encode_pair(*t, "a", "").tail.empty());
}

// "ab" is one token: nothing of "a" would be left.
TEST(EncodePairTest, AHeadThatIsSwallowedStandsApart) {
  text::BpeVocabulary v;
  v.where = "bytes";
  for (int b = 0; b < 256; ++b) {
    v.tokens.push_back(
        text::bytes_to_alphabet(std::string(1, static_cast<char>(b))));
  }
  v.tokens.push_back("ab");
  v.merges = {{"a", "b"}};
  v.pre_tokenizer = text::pre_tokenizer_named("gpt2", v.where);
  const auto t = text::make_byte_bpe(std::move(v));
  const text::TokenPair pair = encode_pair(*t, "a", "b");
  EXPECT_THAT(pair.head, ElementsAre('a'));
  EXPECT_THAT(pair.tail, ElementsAre('b'));
  EXPECT_THAT(encode_pair(*t, "xa", "b").head, ElementsAre('x'));
  EXPECT_THAT(encode_pair(*t, "xa", "b").tail, ElementsAre(256));
}

TEST(PromptTokensTest, MinTokensAreNeverMoreThanThereAre) {
  const auto t = words();
  for (const Request& r :
       {request("", ""), request("", "ab a"), request("b a", "ab ab"),
        request("a", "ab ab b", {1, 4}), request("ab", "")}) {
    EXPECT_LE(min_prompt_tokens(r, *t), tokenize_prompt(r, *t).ids.size());
  }
  EXPECT_GT(min_prompt_tokens(request("", std::string(100, 'a')), *t), 9u);
  EXPECT_GT(min_prompt_tokens(request(std::string(100, 'a'), "b"), *t), 9u);
  Request tokens = request("", "");
  tokens.prompt_tokens = {1, 2, 3};
  EXPECT_EQ(min_prompt_tokens(tokens, *t), 3u);
}

TEST(PromptTokensTest, WhatIsTokenizedAlreadyIsTaken) {
  const auto t = words();
  Request r = request("b", " a", {1});
  r.tokenized = std::make_shared<const PromptTokens>(
      PromptTokens{.ids = {5, 6}, .suffix_begin = 1, .has_prefix = true});
  const PromptTokens found = tokenize_prompt(r, *t);
  EXPECT_THAT(found.ids, ElementsAre(5, 6));
  EXPECT_TRUE(found.has_prefix && found.suffix_begin == 1);
}

}  // namespace
}  // namespace selfalign::generate
