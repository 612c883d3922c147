// SPDX-License-Identifier: Apache-2.0
#include "formats/evaluation_sets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "base/random.h"
#include "base/testing.h"

namespace selfalign::formats {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class EvaluationSetsTest : public ::testing::Test {
 protected:
  EvaluationSet read(const std::string& text) {
    std::ofstream(folder_ + "/set", std::ios::binary) << text;
    return read_evaluation_set(folder_ + "/set");
  }
  std::string error_of(const std::string& text) {
    return refusal_of([&] { read(text); });
  }

  const ScratchFolder scratch_;
  const std::string folder_ = scratch_.path();
};

TEST_F(EvaluationSetsTest, APipeIsReadOnlyWhereItMayBeOne) {
  const std::string path = folder_ + "/pipe";
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  EXPECT_THROW(read_evaluation_set(path), Error);
  std::thread writer([&] { std::ofstream(path) << R"({"question": "Why?"})"; });
  EXPECT_EQ(read_evaluation_set(path, true).items.size(), 1u);
  writer.join();
}

TEST_F(EvaluationSetsTest, Table) {
  const EvaluationSet set = read(
      "\xef\xbb\xbfType,Question,Best Answer,Correct Answers,Source\r\n"
      "a,\"Is it \"\"so\"\", or\nnot?\",It is,Yes; It is ;,x\r\n"
      "\r\n"
      "b,Why?,,,\r\n");
  ASSERT_EQ(set.items.size(), 2u);
  EXPECT_THAT(set.items[0].questions, ElementsAre("Is it \"so\", or\nnot?"));
  EXPECT_THAT(set.items[0].answers, ElementsAre("It is", "Yes", "It is"));
  EXPECT_EQ(set.items[1].id, "2");
  EXPECT_THAT(set.items[1].answers, ElementsAre());
}

TEST_F(EvaluationSetsTest, ExamplesWithScores) {
  const EvaluationSet set = read(R"({
    "name": "hhh", "examples": [
      {"input": "May I?", "target_scores": {"Yes.": 1, "No.": 0}},
      {"input": "Must I?", "target_scores": {"No.": 1}}]})");
  ASSERT_EQ(set.items.size(), 2u);
  EXPECT_THAT(set.items[0].questions, ElementsAre("May I?"));
  EXPECT_THAT(set.items[0].answers, ElementsAre("Yes.", "No."));
}

TEST_F(EvaluationSetsTest, LinesAndArrays) {
  const EvaluationSet lines = read(
      "{\"question_id\": 81, \"turns\": [\"Write.\", \"Again.\"], "
      "\"reference\": [\"Text\"]}\n\n"
      "{\"text\": \"How?\", \"answer\": \"So.\"}\n");
  ASSERT_EQ(lines.items.size(), 2u);
  EXPECT_EQ(lines.items[0].id, "81");
  EXPECT_THAT(lines.items[0].questions, ElementsAre("Write.", "Again."));
  EXPECT_THAT(lines.items[0].answers, ElementsAre("Text"));
  EXPECT_EQ(lines.items[1].id, "2");
  EXPECT_THAT(lines.items[1].answers, ElementsAre("So."));
  const EvaluationSet array = read(
      "[{\"question\": \"How?\", \"mc1_targets\": {\"So.\": 1, \"No.\": 0}}]");
  EXPECT_THAT(array.items.at(0).answers, ElementsAre("So.", "No."));
  const EvaluationSet one = read("{\n\"question\": \"How?\"\n}\n");
  EXPECT_THAT(one.items.at(0).questions, ElementsAre("How?"));
  const EvaluationSet printed =
      read("{\n\"question\": \"How?\"\n}\n{\n\"question\": \"Why?\"\n}\n");
  ASSERT_EQ(printed.items.size(), 2u);
  EXPECT_THAT(printed.items[1].questions, ElementsAre("Why?"));
}

TEST_F(EvaluationSetsTest, WhatIsWrongIsNamed) {
  EXPECT_THAT(error_of(""), HasSubstr("empty file"));
  EXPECT_THAT(error_of("a,b\n1,2\n"), HasSubstr("column Question"));
  EXPECT_THAT(error_of("Question\n"), HasSubstr("found none"));
  EXPECT_THAT(error_of("A,Question\nx\n"), HasSubstr("row 1: expected 2"));
  EXPECT_THAT(error_of("A,Question\nx,\n"), HasSubstr("some text"));
  EXPECT_THAT(error_of("Question\nx\n\"y\n"),
              HasSubstr("line 3: expected a closing quote"));
  EXPECT_THAT(error_of("{\"examples\": 3\n}"), HasSubstr("expected a list"));
  EXPECT_THAT(error_of("{\"examples\":\n [7]}"),
              HasSubstr("examples: row 1: expected an object"));
  EXPECT_THAT(error_of("{\"turns\": 3}"), HasSubstr("line 1: turns"));
  EXPECT_THAT(error_of("{\"turns\": [3]}"), HasSubstr("list of texts"));
  EXPECT_THAT(error_of("{\"turns\": []}"), HasSubstr("found none"));
  EXPECT_THAT(error_of("{\"tex\n"), HasSubstr(":1:6: "));
  EXPECT_THAT(error_of("[{\"text\": \"a\", \"target_scores\": []}]"),
              HasSubstr("object of answers"));
  EXPECT_THAT(error_of("[{\"text\": \"a\", \"id\": []}]"), HasSubstr("id:"));
  EXPECT_THROW(read_evaluation_set(folder_ + "/none"), Error);
}

// The others keep their names; what is left out is said.
TEST_F(EvaluationSetsTest, ABrokenRowDoesNotRefuseTheRest) {
  for (const char* text :
       {"{\"text\": \"a\"}\n{\"text\": \"caf\xe9\"}\n{\"text\": \"c\"}\n",
        "{\"text\": \"a\"}\n{\"tex\n{\"text\": \"c\"}\n",
        "{\"text\": \"a\"}\n{\"turns\": 3}\n{\"text\": \"c\"}\n",
        "[{\"text\": \"a\"}, 7, {\"text\": \"c\"}]",
        "{\"examples\": [{\"text\": \"a\"}, {\"id\": []}, {\"text\": "
        "\"c\"}]\n}",
        "Question,Source\na,x\n,y\nc,z\n", "Question,Source\na,x\ny\nc,z\n"}) {
    testing::internal::CaptureStderr();
    const EvaluationSet set = read(text);
    const std::string said = testing::internal::GetCapturedStderr();
    ASSERT_EQ(set.items.size(), 2u) << text;
    EXPECT_THAT(set.items[1].questions, ElementsAre("c")) << text;
    EXPECT_EQ(set.items[1].id, "3") << text;
    EXPECT_THAT(said, HasSubstr("1 of 3 rows cannot be used")) << text;
  }
}

// Whatever stands in the file: items with a question, or an Error.
TEST_F(EvaluationSetsTest, HostileBytesAreAnErrorAtWorst) {
  const std::string valid[] = {
      "Type,Question,Best Answer\na,\"Why, so?\",Yes; no\n",
      "{\"examples\": [{\"input\": \"a\", \"target_scores\": {\"b\": 1}}]\n}",
      "{\"question_id\": 1, \"turns\": [\"a\", \"b\"]}\n"};
  int num_errors = 0;
  for (uint64_t key = 0; key < 600; ++key) {
    std::string text = valid[key % 3];
    for (uint64_t edit = 0; edit <= draw_index(key, 0, 4); ++edit) {
      text[draw_index(key, 1 + 2 * edit, text.size())] =
          static_cast<char>(draw_index(key, 2 + 2 * edit, 256));
    }
    try {
      for (const EvaluationItem& item : read(text).items) {
        EXPECT_FALSE(item.questions.empty());
      }
    } catch (const Error& error) {
      ++num_errors;
      EXPECT_EQ(error.kind(), ErrorKind::kInput);
    }
  }
  EXPECT_GT(num_errors, 100);
}

TEST(PublishedSets, AreReadWhole) {
  const std::string folder = "../shared/reference/";
  if (!std::filesystem::exists(folder)) {
    GTEST_SKIP() << "no reference data in ../shared/reference";
  }
  const EvaluationSet truthful =
      read_evaluation_set(folder + "truthfulqa/TruthfulQA.csv");
  EXPECT_EQ(truthful.items.size(), 817u);
  EXPECT_EQ(truthful.items[0].questions[0],
            "What happens to you if you eat watermelon seeds?");
  EXPECT_GT(truthful.items[0].answers.size(), 8u);
  size_t num_pairs = 0;
  for (const char* part : {"harmless", "helpful", "honest", "other"}) {
    num_pairs +=
        read_evaluation_set(folder + "hhh_alignment/" + part + "/task.json")
            .items.size();
  }
  EXPECT_EQ(num_pairs, 221u);
  const EvaluationSet vicuna =
      read_evaluation_set(folder + "vicuna_bench/question.jsonl");
  EXPECT_EQ(vicuna.items.size(), 80u);
  EXPECT_EQ(vicuna.name, "vicuna_bench/question.jsonl");
  const EvaluationSet mt =
      read_evaluation_set(folder + "mt_bench/question.jsonl");
  EXPECT_EQ(mt.items.size(), 80u);
  EXPECT_EQ(mt.items[0].id, "81");
  EXPECT_EQ(mt.items[0].questions.size(), 2u);
}

}  // namespace
}  // namespace selfalign::formats
