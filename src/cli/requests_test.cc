// SPDX-License-Identifier: Apache-2.0
#include "cli/requests.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "base/error.h"
#include "base/testing.h"
#include "generate/row_key.h"

namespace selfalign::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int kVocab = 100;

GenerateLine parse(const std::string& line) {
  return GenerateReader(kVocab).parse(line, "stdin line 7");
}

std::string error_of(const std::string& line) {
  return refusal_of([&] { parse(line); });
}

TEST(GenerateReaderTest, APromptAloneTakesTheDefaults) {
  const GenerateLine line = parse(R"({"prompt": "Hello"})");
  EXPECT_EQ(line.request.suffix, "Hello");
  EXPECT_EQ(line.request.prefix, nullptr);
  EXPECT_EQ(line.request.sampling.temperature, 1.0);
  EXPECT_EQ(line.request.sampling.top_p, 1.0);
  EXPECT_EQ(line.request.sampling.max_new_tokens, 256);
  EXPECT_TRUE(line.request.sampling.stop.empty());
  EXPECT_FALSE(line.logprobs);
  EXPECT_EQ(line.key.get<std::string>().size(), 16u);
}

TEST(GenerateReaderTest, WhatALineDoesNotSayIsAsTheAssistantHasIt) {
  generate::Sampling own;
  own.temperature = 0.25;
  own.repetition_penalty = 1.1;
  own.max_new_tokens = 7;
  GenerateReader reader(kVocab, own);
  const auto read = [&reader](const std::string& line) {
    return reader.parse(line, "line").request.sampling;
  };
  const generate::Sampling silent = read(R"({"prompt": "a"})");
  EXPECT_EQ(silent.temperature, 0.25);
  EXPECT_EQ(silent.repetition_penalty, 1.1);
  EXPECT_EQ(silent.max_new_tokens, 7);
  EXPECT_EQ(read(R"({"prompt": "a", "max_tokens": 9})").max_new_tokens, 9);
  EXPECT_EQ(read(R"({"prompt": "a", "max_new_tokens": 9})").max_new_tokens, 9);
  // Greedy is without a penalty.
  EXPECT_EQ(read(R"({"prompt": "a", "temperature": 0})").repetition_penalty, 1);
}

TEST(GenerateReaderTest, ReadsEveryMember) {
  const GenerateLine line = parse(R"({"prompt": "p", "prefix": "before ",
      "key": 12, "temperature": 0, "top_p": 0.5, "max_tokens": 3,
      "stop": ["a", "b"], "repetition_penalty": 1.2,
      "ngram_penalty": [0, 1, 2.5], "logit_bias": {"11": -5, "99": "-inf"},
      "ban_eos": true, "logprobs": true})");
  const generate::Sampling& sampling = line.request.sampling;
  EXPECT_EQ(*line.request.prefix, "before ");
  EXPECT_EQ(line.request.key, 12u);
  EXPECT_EQ(line.key, Json(12));
  EXPECT_EQ(sampling.temperature, 0);
  EXPECT_EQ(sampling.top_p, 0.5);
  EXPECT_EQ(sampling.max_new_tokens, 3);
  EXPECT_THAT(sampling.stop, ElementsAre("a", "b"));
  EXPECT_EQ(sampling.repetition_penalty, 1.2);
  EXPECT_THAT(sampling.ngram_penalty, ElementsAre(0, 1, 2.5));
  EXPECT_EQ(sampling.logit_bias.at(11), -5);
  EXPECT_EQ(sampling.logit_bias.at(99),
            -std::numeric_limits<double>::infinity());
  EXPECT_TRUE(sampling.ban_eos);
  EXPECT_TRUE(line.logprobs);
}

TEST(GenerateReaderTest, ARemoteModelIsAskedForLogprobsOnlyWhereTheyAreWanted) {
  GenerateReader reader(0);
  EXPECT_FALSE(reader.parse(R"({"prompt": "a"})", "x").request.want_logprobs);
  const GenerateLine line = reader.parse(
      R"({"prompt": "a", "logprobs": true, "logit_bias": {"999999": 1}})", "x");
  EXPECT_TRUE(line.request.want_logprobs);
  EXPECT_EQ(line.request.sampling.logit_bias.at(999999), 1);
}

TEST(PutUnderTest, AnInstructionBecomesATurnOfTheForm) {
  const recipe::ChatPrompt chat = {
      "About.\n\n", "U: {instruction}\n", "A: ", "\n", {"\nU:"}};
  generate::Request request =
      parse(R"({"prompt": "Why {x}?", "stop": "!", "key": 7})").request;
  put_under(chat, "model", "here", request);
  EXPECT_EQ(*request.prefix, "About.\n\n");
  EXPECT_EQ(request.suffix, "U: Why {x}?\nA: ");
  EXPECT_THAT(request.sampling.stop, ElementsAre("!", "\nU:"));
  // As a server draws with "seed": 7.
  EXPECT_EQ(request.key, generate::row_key("model", request, 7, 0));
  EXPECT_THROW(put_under(chat, "model", "here", request), Error);
}

TEST(GenerateReaderTest, LinesWithTheSamePrefixShareIt) {
  GenerateReader reader(kVocab);
  const auto a = reader.parse(R"({"prompt":"1","prefix":"same"})", "a");
  const auto b = reader.parse(R"({"prompt":"2","prefix":"same"})", "b");
  EXPECT_EQ(a.request.prefix, b.request.prefix);
}

TEST(GenerateReaderTest, KeysComeFromTheLineAndHowOftenItCame) {
  const std::string line = R"({"prompt": "same"})";
  GenerateReader first(kVocab);
  const uint64_t a = first.parse(line, "a").request.key;
  const uint64_t b = first.parse(line, "b").request.key;
  EXPECT_NE(a, b);
  GenerateReader second(kVocab);
  second.parse(R"({"prompt": "another"})", "x");
  EXPECT_EQ(second.parse(line, "a").request.key, a);
  EXPECT_EQ(second.parse(line, "b").request.key, b);
}

TEST(GenerateReaderTest, RefusesAKeyThatWasUsed) {
  GenerateReader reader(kVocab);
  reader.parse(R"({"prompt": "1", "key": "row"})", "line 1");
  EXPECT_THROW(reader.parse(R"({"prompt": "2", "key": "row"})", "line 2"),
               Error);
}

TEST(GenerateReaderTest, KeysAreNumbersHexOrText) {
  EXPECT_EQ(key_of(7, "here"), 7u);
  EXPECT_EQ(key_of("00000000000000ff", "here"), 255u);
  EXPECT_NE(key_of("row-1", "here"), key_of("row-2", "here"));
  EXPECT_THROW(key_of(1.5, "here"), Error);
}

TEST(GenerateReaderTest, ErrorsNameLineAndMember) {
  EXPECT_THAT(error_of("{"), HasSubstr("stdin line 7"));
  EXPECT_THAT(error_of("[]"), HasSubstr("expected a JSON object"));
  EXPECT_THAT(error_of(R"({"text": "p"})"), HasSubstr("found 'text'"));
  EXPECT_THAT(error_of("{}"), HasSubstr("'prompt'"));
  const std::string rest[] = {R"("temperature": -1)",
                              R"("temperature": "hot")",
                              R"("top_p": 0)",
                              R"("top_p": 1.5)",
                              R"("max_tokens": 0)",
                              R"("max_new_tokens": 0)",
                              R"("max_tokens": 3, "max_new_tokens": 3)",
                              R"("max_tokens": 99999999999)",
                              R"("stop": [1])",
                              R"("stop": "")",
                              R"("ngram_penalty": [1,2,3,4,5])",
                              R"("ngram_penalty": 1)",
                              R"("logit_bias": {"100": 1})",
                              R"("logit_bias": {"x": 1})",
                              R"("logit_bias": {"1": "big"})",
                              R"("logit_bias": [1])",
                              R"("repetition_penalty": 0)",
                              R"("ban_eos": 1)",
                              R"("key": [])"};
  for (const std::string& one : rest) {
    const std::string name = one.substr(1, one.find('"', 1) - 1);
    EXPECT_THAT(error_of(R"({"prompt": "p", )" + one + "}"),
                ::testing::AllOf(HasSubstr("stdin line 7"), HasSubstr(name)))
        << one;
  }
}

TEST(CompletionJsonTest, LogprobsOnlyWhereAskedFor) {
  generate::Completion completion;
  completion.text = "yes";
  completion.num_tokens = 2;
  completion.logprob = -1.5;
  completion.tokens = {4, 5};
  completion.token_logprobs = {-0.5f, -1.0f};
  GenerateLine line;
  line.key = "k";
  EXPECT_EQ(dump_json(completion_json(completion, line)),
            R"({"key":"k","text":"yes","finish_reason":"stop",)"
            R"("num_tokens":2,"num_prompt_tokens":0,"logprob":-1.5,)"
            R"("tokens":[4,5]})");
  line.logprobs = true;
  EXPECT_EQ(completion_json(completion, line)["token_logprobs"],
            Json({-0.5, -1.0}));
}

TEST(ScoreLineTest, RoundTrip) {
  const ScoreLine line = parse_score_line(
      R"({"context": "c", "continuations": ["x", "y"], "key": [1]})", "here");
  EXPECT_EQ(line.request.context, "c");
  EXPECT_THAT(line.request.continuations, ElementsAre("x", "y"));
  generate::Scores scores;
  scores.continuations = {
      {{1, 2}, {-1.0f, -0.5f}, {true, true}},
      {{3}, {-std::numeric_limits<float>::infinity()}, {false}}};
  const Json out = scores_json(scores, line);
  EXPECT_EQ(out["key"], Json::array({1}));
  EXPECT_EQ(out["continuations"][0]["sum"], -1.5);
  EXPECT_EQ(out["continuations"][0]["is_greedy"], true);
  EXPECT_EQ(out["continuations"][1]["text"], "y");
  EXPECT_EQ(out["continuations"][1]["logprobs"], Json::array({nullptr}));
  EXPECT_EQ(out["continuations"][1]["is_greedy"], false);
}

TEST(ScoreLineTest, AScoreThatIsMissingSaysWhy) {
  const ScoreLine line =
      parse_score_line(R"({"context": "c", "continuations": ["x"]})", "here");
  generate::Scores scores;
  scores.continuations.resize(1);
  scores.continuations[0].finish = generate::Finish::kRefused;
  scores.continuations[0].problem = "status 403";
  EXPECT_EQ(dump_json(scores_json(scores, line)),
            R"({"continuations":[{"text":"x","finish_reason":"refused",)"
            R"("error":"status 403"}]})");
}

TEST(ScoreLineTest, RefusesOtherForms) {
  EXPECT_THROW(parse_score_line(R"({"context": "c"})", "h"), Error);
  EXPECT_THROW(
      parse_score_line(R"({"context": "c", "continuations": [1]})", "h"),
      Error);
  EXPECT_THROW(parse_score_line(R"({"prompt": "c"})", "h"), Error);
}

}  // namespace
}  // namespace selfalign::cli
