// SPDX-License-Identifier: Apache-2.0
#include "eval/published_answers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "base/log.h"
#include "base/testing.h"
#include "eval/testing.h"

namespace selfalign::eval {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class PublishedAnswersTest : public testing::Test {
 protected:
  PublishedAnswersTest() { set_log_level(LogLevel::kError); }
  ~PublishedAnswersTest() override { set_log_level(LogLevel::kInfo); }

  PublishedAnswers read(const std::string& lines) {
    write_file_atomic(path_, lines);
    return read_published_answers(path_);
  }
  std::string error_of(const std::string& lines) {
    return refusal_of([&] { read(lines); });
  }
  MatchedAnswers match(const PublishedAnswers& published) {
    const std::vector<Conversation> asked = {{"1", "writing", {"Hi?", "And?"}},
                                             {"2", "", {"Why?"}}};
    ItemLog log(folder_.path() + "/items.jsonl");
    return match_answers(published, asked, {"1", "2"}, log,
                         {"t", "1", 0, {}, {}});
  }

  ScratchFolder folder_;
  std::string path_ = folder_.path() + "/gpt.jsonl";
};

constexpr char kFirst[] =
    R"({"question_id":1,"answer_id":"x","model_id":"gpt","choices":[)"
    R"({"index":0,"turns":[" Hello. ","Bye."]},{"index":1,"turns":["a","b"]}],)"
    R"("tstamp":1.5})"
    "\n";

TEST_F(PublishedAnswersTest, BothPublishedFormsAreRead) {
  const PublishedAnswers all = read(
      std::string(kFirst) +
      "\n"
      R"({"question_id":"2","text":"So.","model_id":"gpt","metadata":{}})");
  EXPECT_EQ(all.model, "gpt");
  EXPECT_THAT(all.turns.at("1"), ElementsAre(" Hello. ", "Bye."));
  EXPECT_THAT(all.turns.at("2"), ElementsAre("So."));
  const MatchedAnswers matched = match(all);
  ASSERT_EQ(matched.items.size(), 2u);
  EXPECT_EQ(matched.items[0]["answers"], Json({"Hello.", "Bye."}));
  EXPECT_EQ(matched.items[0]["group"], "writing");
  EXPECT_EQ(matched.items[1]["answer"], "So.");
  EXPECT_EQ(matched.num_missing + matched.num_unknown, 0);
}

TEST_F(PublishedAnswersTest, MayBePrintedOverSeveralLines) {
  const PublishedAnswers all = read(
      "[\n{\"question_id\": 1,\n \"text\": \"Hi\"},\n{\"question_id\": 2,\n"
      "\"text\": \"So.\"}]\n");
  EXPECT_THAT(all.turns.at("1"), ElementsAre("Hi"));
  EXPECT_THAT(all.turns.at("2"), ElementsAre("So."));
}

TEST_F(PublishedAnswersTest, TheMissingAndTheUnknownAreCounted) {
  const MatchedAnswers matched =
      match(read(std::string(kFirst) + R"({"question_id":7,"text":"x"})"));
  EXPECT_EQ(matched.items.size(), 1u);
  EXPECT_EQ(matched.num_missing, 1);
  EXPECT_EQ(matched.num_unknown, 1);
}

TEST_F(PublishedAnswersTest, WhatDoesNotFitIsNamedAtItsPlace) {
  EXPECT_THAT(error_of(std::string(kFirst) +
                       R"({"question_id":2,"text":"x","model_id":"other"})"),
              HasSubstr("found another one's (other)"));
  for (const char* line : {"{", "3", R"({"text":"x"})", R"({"question_id":1})",
                           "", R"({"question_id":1,"choices":[]})",
                           R"({"question_id":1,"choices":[{"turns":[]}]})",
                           R"({"question_id":1,"choices":[{"turns":[3]}]})",
                           R"({"question_id":1.5,"text":"x"})"}) {
    EXPECT_THAT(error_of(line), HasSubstr("gpt.jsonl")) << line;
  }
}

// Of a question answered twice the first answer stays.
TEST_F(PublishedAnswersTest, ABrokenRowDoesNotRefuseTheRest) {
  for (const char* row :
       {"{\"question_id\":1,", "3", R"({"text":"x"})", R"({"question_id":2})",
        R"({"question_id":1,"text":"again","model_id":"gpt"})"}) {
    const PublishedAnswers all =
        read(std::string(kFirst) + row + "\n" +
             R"({"question_id":2,"text":"So.","model_id":"gpt"})");
    EXPECT_THAT(all.turns.at("1"), ElementsAre(" Hello. ", "Bye.")) << row;
    EXPECT_THAT(all.turns.at("2"), ElementsAre("So.")) << row;
    EXPECT_EQ(all.turns.size(), 2u) << row;
  }
}

TEST_F(PublishedAnswersTest, AnAnswerIsOneToEachTurn) {
  const std::vector<Conversation> asked = {{"1", "", {"Hi?", "And?"}}};
  EXPECT_TRUE(has_answers(read(kFirst), asked));
  EXPECT_FALSE(has_answers(read(R"({"question_id":7,"text":"x"})"), asked));
  const PublishedAnswers brief = read(R"({"question_id":1,"text":"x"})");
  EXPECT_FALSE(has_answers(brief, asked));
  const MatchedAnswers matched = match(brief);
  EXPECT_TRUE(matched.items.empty());
  EXPECT_EQ(matched.num_missing, 2);
  EXPECT_EQ(matched.num_unknown, 0);
}

}  // namespace
}  // namespace selfalign::eval
