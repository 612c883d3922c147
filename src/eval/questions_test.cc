// SPDX-License-Identifier: Apache-2.0
#include "eval/questions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/testing.h"
#include "eval/published_answers.h"
#include "eval/task_table.h"
#include "eval/testing.h"
#include "judge/judged_answers.h"

namespace selfalign::eval {
namespace {

using ::testing::HasSubstr;

Subject plain_subject(ScoringModel& model) {
  Subject subject;
  subject.name = "base";
  subject.generator = &model;
  subject.form = std::make_shared<PlainForm>();
  return subject;
}

TEST(Questions, SecondTurnsHaveAHistoryAndReferencesAreKept) {
  ChoiceWorld world;
  const std::string folder = world.data() + "/mt_bench";
  make_folder(folder);
  write_file_atomic(
      folder + "/question.jsonl",
      R"({"question_id":81,"category":"math","turns":["One?","Two?"],"reference":["1","2"]})"
      "\n"
      R"({"question_id":82,"category":"writing","turns":["Three?","Four?"]})"
      "\n");
  int num_asked = 0;
  world.model().answer = [&](const std::string& prompt) {
    ++num_asked;
    return prompt.find("Two?") != std::string::npos ? "" : "an answer";
  };
  const TaskResult result = world.run(run_mt_bench);
  EXPECT_EQ(num_asked, 4);
  EXPECT_EQ(result.num_failures, 1);
  EXPECT_EQ(result.metrics[0].name, "tokens");
  EXPECT_EQ(result.metrics[0].value, 3);
  EXPECT_EQ(result.metrics[1].value, 1);
  EXPECT_EQ(result.metrics[2].value, 0);
  EXPECT_EQ(result.metrics[0].interval, "bootstrap over questions");
  EXPECT_EQ(result.metrics[1].interval, "Wilson");
  EXPECT_NEAR(result.metrics[1].low, 0.342, 0.001);  // both of two
  EXPECT_NEAR(result.metrics[2].high, 0.658, 0.001);
  EXPECT_FALSE(result.self_tests.empty());
  expect_self_tests_pass(result);
  EXPECT_EQ(result.settings["sampling"]["temperature"], "by category");
  EXPECT_EQ(result.settings["sampling"]["max_new_tokens"], 1024);
  EXPECT_EQ(result.settings["decoding"], "one");
  const std::vector<Json> items = read_items(world.log_path());
  ASSERT_EQ(items.size(), 2u);
  EXPECT_EQ(items[0]["reference"], Json({"1", "2"}));
  EXPECT_EQ(items[0]["scores"]["tokens"], 3);
  world.run(run_mt_bench);
  EXPECT_EQ(num_asked, 4);
}

TEST(Questions, WhatFollowsANulByteIsAnError) {
  using std::string_literals::operator""s;
  const ScratchFolder folder;
  const std::string path = folder.path() + "/question.jsonl";
  write_file_atomic(
      path, R"({"question_id":81,"category":"writing","turns":["Hi","a"]})"
            "\0\0"s
            R"({"question_id":82,"category":"writing","turns":["Ho","b"]})");
  EXPECT_THAT(refusal_of([&] { read_open_questions(path); }),
              HasSubstr("question.jsonl:1:59: expected"));
}

TEST(Questions, AnyFileIsATask) {
  const ScratchFolder folder;
  const std::string path = folder.path() + "/samples/question.jsonl";
  make_folder(folder.path() + "/samples");
  write_file_atomic(path, R"({"question_id":"a","turns":["One?"]})");
  EXPECT_EQ(questions_task(path).name, "samples");
  const Task task = questions_task("mine=" + path);
  EXPECT_EQ(task.name, "mine");
  EXPECT_TRUE(task.answered);
  ScoringModel model;
  Subject subject = plain_subject(model);
  ItemLog log(folder.path() + "/items.jsonl");
  const TaskResult result = task.run(subject, log, {});
  EXPECT_EQ(result.task, "mine");
  EXPECT_TRUE(has_open_questions(result));
  EXPECT_EQ(read_items(folder.path() + "/items.jsonl")[0]["prompt_tokens"], 5);
  for (const char* name : {"vicuna=", ".x=", "=", "q.judge.x=", "held_out=",
                           "adherence=", "a\tb=", "\xff="}) {
    EXPECT_THROW(questions_task(name + path), Error) << name;
  }
  EXPECT_THROW(questions_task("x=" + folder.path() + "/none.jsonl"), Error);
  write_file_atomic(path, R"({"question":"a"})");
  const Error other = error_of([&] { read_open_questions(path); });
  EXPECT_NE(std::string(other.what())
                .find(R"(lines as {"question_id": 1, "turns": ["..."]})"),
            std::string::npos)
      << other.what();
  write_file_atomic(path,
                    "{\"question_id\":1,\"turns\":[\"a\"]}\n"
                    "{\"question_id\":1,\"turns\":[\"b\"]}\n");
  const auto first = read_open_questions(path);  // of an id, with a warning
  ASSERT_EQ(first.size(), 1u);
  EXPECT_EQ(first[0].conversation.turns[0], "a");
}

TEST(Questions, ABrokenRowDoesNotRefuseTheRest) {
  const ScratchFolder folder;
  int number = 0;
  for (const char* row : {"{\"question_id\":2,", "3", "{\"question_id\":2}",
                          "{\"turns\":[\"x\"]}", "\"caf\xe9\""}) {
    const std::string path = str(folder.path(), "/", ++number, ".jsonl");
    write_file_atomic(path, str("{\"question_id\":1,\"turns\":[\"a\"]}\n", row,
                                "\n{\"question_id\":3,\"turns\":[\"c\"]}\n"));
    testing::internal::CaptureStderr();
    const auto questions = read_open_questions(path);
    const std::string said = testing::internal::GetCapturedStderr();
    ASSERT_EQ(questions.size(), 2u) << row;
    EXPECT_EQ(questions[1].conversation.id, "3") << row;
    EXPECT_NE(said.find("1 of 3 rows cannot be used"), std::string::npos)
        << row;
  }
}

// What is published as greedy is so only where it is asked greedily.
TEST(Questions, WhatIsTheSameForAllCategoriesIsRecordedAsAValue) {
  const ScratchFolder folder;
  make_folder(folder.path() + "/mt_bench");
  write_file_atomic(
      folder.path() + "/mt_bench/question.jsonl",
      R"({"question_id":1,"category":"math","turns":["One?","Two?"]})"
      "\n"
      R"({"question_id":2,"category":"writing","turns":["Three?","Four?"]})");
  ScoringModel model;
  Subject subject = plain_subject(model);
  generate::Sampling sampling;
  sampling.repetition_penalty = 1.3;
  sampling.ngram_penalty = {0, 1};
  subject.form = std::make_shared<PlainForm>("", "", sampling);
  TaskOptions options;
  options.data_folder = folder.path();
  ItemLog log(folder.path() + "/items.jsonl");
  Json found = run_mt_bench(subject, log, options).settings["sampling"];
  EXPECT_EQ(found["temperature"], "by category");
  EXPECT_EQ(found["repetition_penalty"], "by category");
  options.decoding.given.temperature = 0.9;
  options.decoding.given.top_p = 0.5;
  found = run_mt_bench(subject, log, options).settings["sampling"];
  EXPECT_EQ(found["temperature"], 0.9);
  EXPECT_EQ(found["top_p"], 0.5);
  EXPECT_EQ(found["repetition_penalty"], 1.3);
  EXPECT_EQ(found["ngram_penalty"], Json({0.0, 1.0}));
  options.decoding.given.temperature = 0.0;
  found = run_mt_bench(subject, log, options).settings["sampling"];
  EXPECT_EQ(found["repetition_penalty"], 1.0);
}

TEST(Questions, PublishedAnswersTakeTheModelsPlace) {
  const ScratchFolder folder;
  const std::string path = folder.path() + "/q.jsonl";
  write_file_atomic(path,
                    "{\"question_id\":1,\"turns\":[\"a\"]}\n"
                    "{\"question_id\":2,\"turns\":[\"b\"]}\n");
  const std::string answers = folder.path() + "/gpt.jsonl";
  write_file_atomic(answers, R"({"question_id":1,"text":"yes"})");
  Subject subject;
  subject.name = "gpt";
  subject.published =
      std::make_shared<const PublishedAnswers>(read_published_answers(answers));
  ItemLog log(folder.path() + "/items.jsonl");
  const TaskResult result = questions_task(path).run(subject, log, {});
  EXPECT_EQ(result.num_failures, 1);
  EXPECT_EQ(result.settings["missing"], 1);
  ASSERT_EQ(result.metrics.size(), 1u);
  EXPECT_EQ(result.metrics[0].name, "repetitive");
  EXPECT_EQ(result.metrics[0].num_items, 1);
  expect_self_tests_pass(result);
}

TEST(Questions, PublishedFilesAreRead) {
  const std::string root = "../shared/reference/";
  if (!std::filesystem::exists(root)) GTEST_SKIP() << "no " << root;
  const auto mt = read_open_questions(root + "mt_bench/question.jsonl");
  ASSERT_EQ(mt.size(), 80u);
  EXPECT_EQ(mt[0].conversation.turns.size(), 2u);
  const auto vicuna = read_open_questions(root + "vicuna_bench/question.jsonl");
  ASSERT_EQ(vicuna.size(), 80u);
  int num_references = 0;
  for (const OpenQuestion& one : vicuna) {
    num_references += !one.reference.empty();
  }
  EXPECT_EQ(num_references, 10);
}

TEST(Questions, WrongFilesAreNamedAtTheirLine) {
  const ScratchFolder folder;
  const std::string path = folder.path() + "/question.jsonl";
  for (const char* line :
       {"{\"question_id\":1}", "3", "{\"question_id\":1,\"turns\":[]}",
        "{\"question_id\":1,\"turns\":[2]}", "{\"question_id\":\"x\"}",
        "{\"turns\":[\"a\"]}", "{\"question_id\":1.5,\"turns\":[\"a\"]}"}) {
    write_file_atomic(path, std::string("\n") + line);
    EXPECT_THAT(message_of([&] { read_open_questions(path); }),
                HasSubstr("question.jsonl: line 2: "));
  }
  for (const char* none : {"", "[]", "\n\n"}) {
    write_file_atomic(path, none);
    EXPECT_THROW(read_open_questions(path), Error) << none;
  }
}

TEST(Questions, MayBePrintedOverSeveralLines) {
  const ScratchFolder folder;
  make_folder(folder.path() + "/reference_answer");
  const std::string path = folder.path() + "/question.jsonl";
  write_file_atomic(folder.path() + "/reference_answer/gpt.jsonl",
                    "[{\"question_id\": 2,\n\"choices\": [{\"turns\": [\n"
                    "\"Yes.\"]}]}]");
  const std::string first =
      "{\n  \"question_id\": 1,\n  \"turns\": [\n\"A?\"]}";
  const std::string second = "{\"question_id\": 2, \"turns\": [\"B?\"]}";
  for (const std::string& text :
       {first + "\n" + second + "\n", "[" + first + ",\n" + second + "]",
        "\xef\xbb\xbf" + first + "\r\n\r\n" + second}) {
    write_file_atomic(path, text);
    const auto questions = read_open_questions(path);
    ASSERT_EQ(questions.size(), 2u) << text;
    EXPECT_EQ(questions[0].conversation.turns[0], "A?");
    EXPECT_EQ(questions[1].conversation.id, "2");
    EXPECT_EQ(questions[1].reference, std::vector<std::string>{"Yes."});
  }
}

}  // namespace
}  // namespace selfalign::eval
