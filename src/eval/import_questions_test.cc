// SPDX-License-Identifier: Apache-2.0
#include "eval/import_questions.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "eval/questions.h"

namespace selfalign::eval {
namespace {

class ImportQuestionsTest : public testing::Test {
 protected:
  std::string write(const std::string& name, const std::string& text) {
    const std::string path = folder_.path() + "/" + name;
    write_file_atomic(path, text);
    return path;
  }
  std::vector<OpenQuestion> questions() const {
    return read_open_questions(out_);
  }

  ScratchFolder folder_;
  std::string out_ = folder_.path() + "/mine.jsonl";
};

TEST_F(ImportQuestionsTest, RowsOfQuestionsAndLinesOfTextBecomeOneFile) {
  const std::string seeds = write(
      "seeds.jsonl",
      R"({"topic":"Water","question_type":"science","question":"What is it? "})"
      "\n\n"
      R"({"topic":"x","question_type":"science","question":""})"
      "\n");
  const std::string lines =
      write("lines.txt", "How high?\n\nWhat is it?\nHow deep?\n");
  const ImportedQuestions report = import_questions({seeds, lines}, out_);
  EXPECT_EQ(report.num_questions, 3);
  EXPECT_EQ(report.num_empty, 1);
  EXPECT_EQ(report.num_repeated, 1);
  EXPECT_TRUE(report.numbered);
  const auto all = questions();
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0].conversation.id, "1");
  EXPECT_EQ(all[0].conversation.group, "science");
  EXPECT_EQ(all[0].conversation.turns[0], "What is it?");
  EXPECT_EQ(all[2].conversation.turns[0], "How deep?");
  EXPECT_THROW(import_questions({lines}, out_), Error);
}

TEST_F(ImportQuestionsTest, IdsAndTurnsOfPublishedQuestionsStay) {
  const std::string path =
      write("question.jsonl",
            R"({"question_id":81,"category":"math","turns":["One?","Two?"]})"
            "\n"
            R"({"question_id":"b","turns":["Three?"]})");
  EXPECT_FALSE(import_questions({path}, out_).numbered);
  const auto all = questions();
  EXPECT_EQ(all[0].conversation.id, "81");
  EXPECT_EQ(all[0].conversation.turns.size(), 2u);
  EXPECT_EQ(all[1].conversation.id, "b");
}

TEST_F(ImportQuestionsTest, QuestionsMayBePrintedOverSeveralLines) {
  const std::string path =
      write("question.json",
            "[\n  {\n    \"question_id\": 81,\n"
            "    \"turns\": [\"One?\", \"Two?\"]\n  },\n"
            "  {\"question_id\": 82, \"turns\": [\"A?\"]}\n]");
  EXPECT_FALSE(import_questions({path}, out_).numbered);
  const auto all = questions();
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].conversation.id, "81");
  EXPECT_EQ(all[0].conversation.turns.size(), 2u);
}

TEST_F(ImportQuestionsTest, PromptsOfDatasetsAreQuestions) {
  const std::string path = write(
      "tasks.jsonl",
      R"({"instruction":"Add.","instances":[{"input":"1 2","output":"3"}]})");
  import_questions({path}, out_);
  EXPECT_EQ(questions()[0].conversation.turns[0], "Add.\n\n1 2");
}

TEST_F(ImportQuestionsTest, ThePublishedSeedsAreTaken) {
  const std::string path =
      "../shared/reference/dromedary/tgrt_self_instruct_seed_questions.jsonl";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no " << path;
  const ImportedQuestions report = import_questions({path}, out_);
  EXPECT_GE(report.num_questions, 20);
  EXPECT_EQ(report.num_empty, 0);
  EXPECT_EQ(int64_t(questions().size()), report.num_questions);
}

// Wherever it stands: the first row that is one says what the file holds.
TEST_F(ImportQuestionsTest, ABrokenRowDoesNotRefuseTheRest) {
  const std::string good = "{\"question\":\"x\"}\n";
  const std::string broken = "{\"question\":\n";
  int number = 0;
  for (const std::string& text :
       {broken + good, good + broken, good + "{\"other\":1}\n",
        broken + "{\"instruction\":\"x\",\"output\":\"y\"}\n"}) {
    out_ = str(folder_.path(), "/", ++number, ".out");
    const std::string path = write(str(number, ".jsonl"), text);
    testing::internal::CaptureStderr();
    EXPECT_EQ(import_questions({path}, out_).num_questions, 1) << text;
    const std::string said = testing::internal::GetCapturedStderr();
    EXPECT_NE(said.find("1 of 2 rows cannot be used"), std::string::npos)
        << text << said;
    EXPECT_EQ(questions()[0].conversation.turns[0], "x") << text;
  }
}

TEST_F(ImportQuestionsTest, FilesOfOtherRowsAreErrors) {
  EXPECT_THROW(import_questions({write("a.jsonl", "{\"turns\":[]}")}, out_),
               Error);
  EXPECT_THROW(import_questions({write("c.jsonl", "{\"other\":1}")}, out_),
               Error);
  EXPECT_THROW(import_questions({write("d.txt", "\n")}, out_), Error);
  EXPECT_FALSE(std::filesystem::exists(out_));
}

}  // namespace
}  // namespace selfalign::eval
