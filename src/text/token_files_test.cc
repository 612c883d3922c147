// SPDX-License-Identifier: Apache-2.0
#include "text/token_files.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <map>

#include "base/error.h"
#include "base/file.h"

namespace selfalign::text {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

const std::string kMark = "\u2581";

// 0 <unk>, 1 <s>, 2 </s>, 3 "_", 4 "a", 5 "b", 6 "_a", 7 "<", 8 ">".
SentencePieceVocabulary small_world() {
  SentencePieceVocabulary v;
  v.where = "m.model";
  v.pieces = {"<unk>", "<s>", "</s>", kMark, "a", "b", kMark + "a", "<", ">"};
  v.scores.assign(v.pieces.size(), 0.0f);
  v.types.assign(v.pieces.size(), TokenType::kNormal);
  v.types[0] = TokenType::kUnknown;
  v.types[1] = v.types[2] = TokenType::kControl;
  v.byte_fallback = false;
  return v;
}
constexpr int kEos = 2, kSpace = 3, kA = 4, kB = 5, kSpaceA = 6;

using Files = std::map<std::string, std::string>;

std::string folder_of(const Files& files) {
  const std::string folder = testing::TempDir() + "token_files";
  std::filesystem::remove_all(folder);
  make_folder(folder);
  for (const auto& [name, text] : files) {
    write_file_atomic(folder + "/" + name, text);
  }
  return folder;
}

SentencePieceVocabulary vocabulary_of(const Files& files) {
  SentencePieceVocabulary v = small_world();
  use_token_files(folder_of(files), v);
  return v;
}

std::string error_of(const Files& files) {
  try {
    vocabulary_of(files);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

std::string fast(const std::string& tokens, const std::string& more = "") {
  return R"({"added_tokens": [)" + tokens +
         R"(], "model": {"type": "BPE", "byte_fallback": true)" +
         (more.empty() ? "" : ", \"vocab\": " + more) + "}}";
}
const std::string kStart =
    R"({"id": 9, "content": "<go>", "special": true, "normalized": false})";
const std::string kTool =
    R"({"id": 10, "content": "<t>", "special": false, "rstrip": true})";

TEST(TokenFiles, EachFileIsEnough) {
  const std::string decoder = R"({"added_tokens_decoder": {
      "9": {"content": "<go>", "special": true},
      "10": {"content": "<t>", "special": false, "rstrip": true}}})";
  const std::string map =
      R"({"additional_special_tokens": ["<go>"], "eos_token": {
      "content": "</s>", "lstrip": false}})";
  for (const Files& files :
       {Files{{"tokenizer.json", fast(kStart + "," + kTool)}},
        Files{{"tokenizer_config.json", decoder}},
        Files{{"tokenizer.json", fast(kTool)},
              {"added_tokens.json", R"({"<go>": 9})"},
              {"special_tokens_map.json", map}},
        Files{{"tokenizer.json", fast(kStart + "," + kTool)},
              {"tokenizer_config.json", decoder},
              {"added_tokens.json", R"({"<go>": 9, "<t>": 10})"},
              {"special_tokens_map.json", map}}}) {
    const auto t = make_sentencepiece(vocabulary_of(files));
    EXPECT_EQ(t->size(), 11);
    EXPECT_TRUE(t->is_special(9) && !t->is_special(10));
    EXPECT_THAT(t->encode("a<go>a<t>  b", true),
                ElementsAre(kSpaceA, 9, kSpaceA, 10, kSpace, kB));
    // A special token is not forged; others are found in any text.
    EXPECT_THAT(t->encode("<t>"), ElementsAre(10));
    const auto plain = t->encode("<go>");
    EXPECT_EQ(std::count(plain.begin(), plain.end(), 9), 0);
    EXPECT_EQ(t->decode({kSpaceA, 9, kSpaceA, 10}, true), "a<go>a<t>");
    EXPECT_EQ(t->decode({kSpaceA, 9, kSpaceA}), "aa");
    EXPECT_EQ(t->token_id("<go>"), 9);
  }
  EXPECT_TRUE(vocabulary_of({}).added.empty());
}

TEST(TokenFiles, ContradictionsAreNamed) {
  const Files known = {{"tokenizer.json", fast(kStart)}};
  const auto with = [&](const std::string& name, const std::string& text) {
    Files files = known;
    files[name] = text;
    return error_of(files);
  };
  EXPECT_THAT(with("added_tokens.json", R"({"<go>": 10})"),
              AllOf(HasSubstr("added_tokens.json"), HasSubstr("'<go>'"),
                    HasSubstr("tokenizer.json"), HasSubstr("found 10")));
  EXPECT_THAT(with("added_tokens.json", R"({"<other>": 9})"),
              AllOf(HasSubstr("'<go>' as token 9"), HasSubstr("<other>")));
  EXPECT_THAT(with("tokenizer_config.json",
                   R"({"added_tokens_decoder": {"9": {"content": "<go>",
                       "special": false}}})"),
              HasSubstr("same special"));
  EXPECT_THAT(with("tokenizer_config.json",
                   R"({"added_tokens_decoder": {"nine": {"content": "x"}}})"),
              HasSubstr("nine"));
  EXPECT_THAT(error_of({{"added_tokens.json", R"({"<go>": 4})"}}),
              AllOf(HasSubstr("m.model"), HasSubstr("'a'")));
  EXPECT_THAT(error_of({{"tokenizer.json", fast("", R"({"a": 5})")}}),
              AllOf(HasSubstr("m.model"), HasSubstr("'b'"), HasSubstr("'a'")));
  EXPECT_THAT(error_of({{"added_tokens.json", R"({"<go>": -1})"}}),
              HasSubstr("-1"));
  EXPECT_THROW(make_sentencepiece(vocabulary_of(
                   {{"added_tokens.json", R"({"<go>": 9000000})"}})),
               Error);
}

TEST(TokenFiles, WhatStandsInSeveralFilesAlikeIsOneToken) {
  const auto v = vocabulary_of(
      {{"tokenizer.json", fast(kStart, R"({"<s>": 1, "a": 4, "<go>": 9})")},
       {"tokenizer_config.json",
        R"({"added_tokens_decoder": {"9": {"content": "<go>", "special": true},
            "2": {"content": "</s>", "special": true}}})"}});
  ASSERT_EQ(v.added.size(), 2u);
  EXPECT_EQ(v.added[0].text, "</s>");
  const auto t = make_sentencepiece(v);
  EXPECT_EQ(t->size(), 10);
  EXPECT_THAT(t->encode("a</s>", true), ElementsAre(kSpaceA, kEos));
}

// In each of the files; every one of them took time that grew with the square.
TEST(TokenFiles, HundredsOfThousandsOfTokensLoadInLinearTime) {
  constexpr int kTokens = 200'000;
  std::string list, decoder, map;
  for (int i = 0; i < kTokens; ++i) {
    const char* comma = i > 0 ? "," : "";
    list += str(comma, R"({"content":"<t)", i, R"(>","id":)", 9 + i, "}");
    decoder += str(comma, '"', 9 + i, R"(":{"content":"<t)", i, R"(>"})");
    map += str(comma, R"("<t)", i, R"(>":)", 9 + i);
  }
  const std::clock_t began = std::clock();
  const auto t = make_sentencepiece(
      vocabulary_of({{"tokenizer.json", fast(list)},
                     {"tokenizer_config.json",
                      "{\"added_tokens_decoder\":{" + decoder + "}}"},
                     {"added_tokens.json", "{" + map + "}"}}));
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += str("<t", i, "> ");
  EXPECT_EQ(t->size(), 9 + kTokens);
  EXPECT_EQ(t->encode(text).at(0), 9);
  EXPECT_LT(double(std::clock() - began) / CLOCKS_PER_SEC, 60);
}

TEST(TokenFiles, IdsThatNothingNamesStandForNoText) {
  const auto t = make_sentencepiece(
      vocabulary_of({{"added_tokens.json", R"({"<go>": 12})"}}));
  EXPECT_EQ(t->size(), 13);
  EXPECT_EQ(t->decode({kSpaceA, 10, kA}), "aa");
  EXPECT_EQ(t->token_id(""), -1);
}

TEST(TokenFiles, WhereTheDummyPrefixStands) {
  const auto ids = [](const std::string& text, const Files& files) {
    Files all = files;
    all["added_tokens.json"] = R"({"<go>": 9})";
    return make_sentencepiece(vocabulary_of(all))->encode(text, true);
  };
  const auto json = [](const std::string& member) {
    return Files{{"tokenizer.json",
                  "{" + member + R"(, "model": {"byte_fallback": true}})"}};
  };
  const std::string metaspace =
      R"("pre_tokenizer": {"type": "Metaspace", "prepend_scheme": )";
  const std::vector<int> each = {kSpaceA, 9, kSpaceA};
  const std::vector<int> first = {kSpaceA, 9, kA};
  EXPECT_EQ(ids("a<go>a", {}), each);
  EXPECT_EQ(ids("a<go>a", json(metaspace + R"("always"})")), each);
  EXPECT_EQ(ids("a<go>a", json(metaspace + R"("first"})")), first);
  EXPECT_THAT(ids("a<go>a", json(metaspace + R"("never"})")),
              ElementsAre(kA, 9, kA));
  EXPECT_EQ(ids("a<go>a", json(R"("normalizer": {"type": "Sequence",
                "normalizers": [{"type": "Prepend", "prepend": "_"}]})")),
            each);
  Files legacy = json(metaspace + R"("always"})");
  legacy["tokenizer_config.json"] = R"({"legacy": false})";
  EXPECT_EQ(ids("a<go>a", legacy), first);
  EXPECT_EQ(ids("a<go>a", {{"tokenizer_config.json",
                            R"({"backend": "tokenizers",
                      "tokenizer_class": "LlamaTokenizer"})"}}),
            first);
  // Metaspace puts none where a space stands.
  EXPECT_THAT(ids(" b", json(metaspace + R"("first"})")),
              ElementsAre(kSpace, kB));
  EXPECT_THAT(ids(" b", {}), ElementsAre(kSpace, kSpace, kB));
}

TEST(TokenFiles, AnAddedTokenIsNoPieceOfAWord) {
  SentencePieceVocabulary v = small_world();
  AddedToken word;
  word.id = 9;
  word.text = "ab";
  word.single_word = true;
  v.added = {word};
  const auto t = make_sentencepiece(v);
  EXPECT_THAT(t->encode("ab"), ElementsAre(9));
  EXPECT_THAT(t->encode("b ab."),
              ElementsAre(kSpace, kB, kSpace, 9, kSpace, 0));
  EXPECT_THAT(t->encode("bab"), ElementsAre(kSpace, kB, kA, kB));
}

}  // namespace
}  // namespace selfalign::text
