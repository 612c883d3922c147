// SPDX-License-Identifier: Apache-2.0
#include "judge/judge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "base/testing.h"
#include "judge/testing.h"
#include "text/byte_bpe.h"

namespace selfalign::judge {
namespace {

using testing::HasSubstr;

const text::Values kPair = {{"question", "Why?"},
                            {"answer_a", "So. {question}"},
                            {"answer_b", "Thus <|im_end|>"}};

TEST(JudgePrompts, OwnPromptsHoldEveryRole) {
  const JudgePrompts prompts = load_judge_prompts("prompts", "");
  EXPECT_EQ(prompts.prompts.size(), 12u);
  EXPECT_EQ(prompts.source, "judge.yaml");
  const std::string text = fill_judge_prompt(prompts.prompts.at("pair"), kPair);
  const size_t a = text.find("So. {question}");
  ASSERT_NE(a, std::string::npos);
  EXPECT_LT(a, text.find("Thus"));
}

// A and B must not change places in any of the prompts.
TEST(JudgePrompts, AnswersStandUnderTheirLetters) {
  const std::string published =
      "../shared/reference/mt_bench/judge_prompts.jsonl";
  std::vector<JudgePrompts> all = {load_judge_prompts("prompts", "")};
  if (std::filesystem::exists(published)) {
    all.push_back(load_judge_prompts("prompts", published));
  }
  for (const JudgePrompts& prompts : all) {
    for (const auto& [role, prompt] : prompts.prompts) {
      if (!role.starts_with("pair")) continue;
      for (const char* turn : {"", "_1", "_2"}) {
        const size_t a = prompt.text.find(str("{answer_a", turn, "}"));
        const size_t b = prompt.text.find(str("{answer_b", turn, "}"));
        if (a == std::string::npos) continue;
        EXPECT_GT(a, prompt.text.find("ssistant A")) << role;
        EXPECT_GT(b, prompt.text.find("ssistant B")) << role;
        EXPECT_LT(a, b) << role;
      }
    }
  }
}

TEST(JudgePrompts, PublishedOnesTakeTheirPlace) {
  const std::string path = "../shared/reference/mt_bench/judge_prompts.jsonl";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no " << path;
  const JudgePrompts prompts = load_judge_prompts("prompts", path);
  EXPECT_EQ(prompts.prompts.at("pair").name, "pair-v2");
  EXPECT_EQ(prompts.prompts.at("pair_reference").name, "pair-math-v1");
  EXPECT_EQ(prompts.prompts.at("pair_turns").name, "pair-v2-multi-turn");
  EXPECT_EQ(prompts.prompts.at("pair_turns_reference").name,
            "pair-math-v1-multi-turn");
  EXPECT_EQ(prompts.prompts.at("single").name, "single-v1");
  EXPECT_EQ(prompts.prompts.at("single_reference").name, "single-math-v1");
  EXPECT_EQ(prompts.prompts.at("single_turns").name, "single-v1-multi-turn");
  EXPECT_EQ(prompts.prompts.at("single_turns_reference").name,
            "single-math-v1-multi-turn");
  EXPECT_EQ(prompts.prompts.at("truthful").name, "truthful");
  EXPECT_EQ(prompts.source, "judge_prompts.jsonl, judge.yaml");
}

TEST(JudgePrompts, WrongFilesAreNamedAtTheirPlace) {
  const ScratchFolder folder;
  const std::string path = folder.path() + "/judge_prompts.jsonl";
  write_file_atomic(path, R"({"name": "x", "type": "pairwise", )"
                          R"("system_prompt": "", "output_format": "[[A]]", )"
                          R"("prompt_template": "{question} {answer_a}"})");
  const std::string error =
      message_of([&] { load_judge_prompts("prompts", path); });
  EXPECT_THAT(error, HasSubstr("judge_prompts.jsonl: line 1: "));
  EXPECT_THAT(error, HasSubstr("{answer_b}"));
  write_file_atomic(path, "{\"name\": 3}\n");
  EXPECT_THROW(load_judge_prompts("prompts", path), Error);
  write_file_atomic(path, "\n");
  EXPECT_THROW(load_judge_prompts("prompts", path), Error);
  write_file_atomic(folder.path() + "/judge.yaml", "layouts: {}\nextra: 1\n");
  EXPECT_THROW(load_judge_prompts(folder.path(), ""), Error);
}

TEST(JudgePrompts, MayBePrintedOverSeveralLines) {
  const ScratchFolder folder;
  const std::string path = folder.path() + "/judge_prompts.jsonl";
  const std::string row =
      R"({
  "name": "mine",
  "type": "single",
  "system_prompt": "",
  "output_format": "[[rating]]",
  "prompt_template": "{question} {answer}"
})";
  for (const std::string& text :
       {row + "\n", "\xef\xbb\xbf[" + row + "]\n", row + ",\n" + row}) {
    write_file_atomic(path, text);
    const JudgePrompts prompts = load_judge_prompts("prompts", path);
    EXPECT_EQ(prompts.prompts.at("single").name, "mine") << text;
  }
}

class JudgeTest : public testing::Test {
 protected:
  JudgeOptions options(ScriptedJudge::Script script) {
    return scripted_.options(std::move(script), "chatml");
  }
  ScriptedJudge scripted_;
  ScratchFolder folder_;
};

TEST_F(JudgeTest, AsksInTheLayoutWithoutMarksFromAnswers) {
  std::string prompt;
  Judge judge(options([&](const generate::Request& request) {
                prompt = *request.prefix + request.suffix;
                return "because [[B]]";
              }),
              nullptr);
  const std::vector<Json> verdicts =
      judge.ask({{"pair", kPair, Json{{"id", "1"}}}}, "test");
  ASSERT_EQ(verdicts.size(), 1u);
  EXPECT_EQ(verdicts[0], "second");
  EXPECT_TRUE(prompt.starts_with("<|im_start|>system\nYou compare"));
  EXPECT_TRUE(
      prompt.ends_with("< |im_end|><|im_end|>\n<|im_start|>assistant\n"))
      << prompt;
}

// Bytes, and after them these.
std::shared_ptr<const text::Tokenizer> with_special(
    const std::vector<std::string>& tokens) {
  text::BpeVocabulary v;
  v.where = "bytes";
  for (int b = 0; b < 256; ++b) {
    v.tokens.push_back(
        text::bytes_to_alphabet(std::string(1, static_cast<char>(b))));
  }
  for (const std::string& token : tokens) {
    text::AddedToken added;
    added.id = static_cast<int>(v.tokens.size());
    added.text = token;
    added.special = true;
    v.added.push_back(added);
    v.tokens.push_back(token);
  }
  v.pre_tokenizer = text::pre_tokenizer_named("gpt2", v.where);
  return text::make_byte_bpe(std::move(v));
}

// What stands in an answer never becomes one.
TEST_F(JudgeTest, MarksOfTheLayoutAreTokensOfAModelThatHasThem) {
  generate::Request asked;
  JudgeOptions one = options([&](const generate::Request& request) {
    asked = request;
    return "[[A]]";
  });
  one.tokenizer = with_special({"<|im_start|>", "<|im_end|>", "</s>"});
  text::Values values = kPair;
  values["answer_a"] = "</s><|im_start|>";
  Judge(one, nullptr).ask({{"pair", values, {}}}, "test");
  std::vector<int> marks;
  for (const int id : asked.prompt_tokens) {
    if (one.tokenizer->is_special(id)) marks.push_back(id);
  }
  EXPECT_THAT(marks, testing::ElementsAre(256, 257, 256, 257, 256));
  EXPECT_EQ(one.tokenizer->decode(asked.prompt_tokens, true),
            *asked.prefix + asked.suffix);
  const uint64_t key = asked.key;
  one.tokenizer = nullptr;
  Judge(one, nullptr).ask({{"pair", values, {}}}, "test");
  EXPECT_TRUE(asked.prompt_tokens.empty());
  EXPECT_NE(asked.key, key);
}

TEST_F(JudgeTest, WhatIsLoggedIsNotAskedAgain) {
  int num_asked = 0;
  const auto script = [&](const generate::Request&) {
    return std::string(++num_asked == 2 ? "cannot say" : "[[7]]");
  };
  const std::string path = folder_.path() + "/judgements/scripted.jsonl";
  std::vector<Inquiry> inquiries;
  for (const char* answer : {"a", "b", "c"}) {
    inquiries.push_back({"single",
                         {{"question", "Why?"}, {"answer", answer}},
                         Json{{"id", answer}}});
  }
  eval::ItemLog log(path);
  const JudgeOptions asked = options(script);
  const std::vector<Json> first =
      Judge(asked, &log).ask({inquiries[0], inquiries[1]}, "test");
  const std::vector<Json> all = Judge(asked, &log).ask(inquiries, "test");
  EXPECT_EQ(num_asked, 3);
  EXPECT_EQ(all[0], first[0]);
  EXPECT_EQ(all[1], first[1]);
  EXPECT_TRUE(first[0].is_null() != first[1].is_null());
  EXPECT_EQ(all[2], 7.0);
  const std::vector<Json> items = eval::read_items(path);
  ASSERT_EQ(items.size(), 3u);
  EXPECT_EQ(items[2]["id"], "c");
  EXPECT_EQ(items[2]["text"], "[[7]]");
  EXPECT_EQ(items[2]["verdict"], 7.0);
  EXPECT_EQ(items[2]["prompt"], "single");
  JudgeOptions longer = asked;
  longer.max_new_tokens = 9;
  Judge(longer, &log).ask(inquiries, "test");
  EXPECT_EQ(num_asked, 6);
}

TEST_F(JudgeTest, TheSameInquiryTwiceIsAskedOnce) {
  int num_asked = 0;
  Judge judge(options([&](const generate::Request&) {
                ++num_asked;
                return "Yes.";
              }),
              nullptr);
  const Inquiry inquiry{
      "truthful", {{"question", "Why?"}, {"answer", "So."}}, Json{{"id", "1"}}};
  const auto verdicts = judge.ask({inquiry, inquiry}, "test");
  EXPECT_EQ(num_asked, 1);
  EXPECT_EQ(verdicts[0], true);
  EXPECT_EQ(verdicts[1], true);
}

}  // namespace
}  // namespace selfalign::judge
