// SPDX-License-Identifier: Apache-2.0
#include "eval/truthfulqa.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "base/testing.h"
#include "eval/testing.h"

namespace selfalign::eval {
namespace {

constexpr char kHeader[] =
    "Type,Category,Question,Best Answer,Correct Answers,Incorrect Answers,"
    "Source\n";

TEST(TruthfulQaDataTest, AnswersAreFinishedAndTheBestIsFirst) {
  const ScratchFolder folder;
  const std::string path = folder.path() + "/TruthfulQA.csv";
  write_file_atomic(
      path,
      std::string(kHeader) +
          "A,Law,\"Is it, so?\",Yes,No idea; Yes;Yes.; ,Never; Always.,x\n");
  const auto questions = read_truthfulqa(path);
  ASSERT_EQ(questions.size(), 1u);
  EXPECT_EQ(questions[0].id, "1");
  EXPECT_EQ(questions[0].question, "Is it, so?");
  EXPECT_THAT(questions[0].correct, testing::ElementsAre("Yes.", "No idea."));
  EXPECT_THAT(questions[0].incorrect,
              testing::ElementsAre("Never.", "Always."));
}

TEST(TruthfulQaDataTest, AFaultIsNamedWithItsPlace) {
  const ScratchFolder folder;
  const std::string path = folder.path() + "/TruthfulQA.csv";
  const auto expect = [&](const std::string& text, const std::string& words) {
    write_file_atomic(path, text);
    EXPECT_THAT(refusal_of([&] { read_truthfulqa(path); }),
                testing::HasSubstr(words))
        << text;
  };
  expect("Question,Best Answer\na,b\n", "there is no column 'Category'");
  expect(std::string(kHeader) + "A,B,C,D,E,F,G\nA,B,C,D\n",
         "TruthfulQA.csv: row 2: expected 7 fields, found 4");
  expect(std::string(kHeader) + "A,B,C,D,E, ; ,G\n", "row 1: expected a");
  expect(kHeader, "has no header and questions");
}

TEST(TruthfulQaDataTest, ThePublishedFile) {
  const std::string path = "../shared/reference/truthfulqa/TruthfulQA.csv";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not here";
  const auto questions = read_truthfulqa(path);
  EXPECT_EQ(questions.size(), 817u);
  double all = 0.0;
  double first_half = 0.0;
  for (const TruthfulQuestion& question : questions) {
    const double count = double(question.incorrect.size() + 1);
    all += 1 / count / 817;
    first_half += 1 / std::ceil(count / 2) / 817;
  }
  // The paper's set of 2022 has 22.3 and 40.7 %; this file is a later one.
  EXPECT_NEAR(all, 0.226, 0.0005);
  EXPECT_NEAR(first_half, 0.4145, 0.0005);
}

// Two true answers of four: log-probabilities -1 -3 | -2 -4.
TEST(TruthfulQaScoreTest, FollowsTheBenchmarksDefinitions) {
  const ChoiceItem item{
      "1", "", "q", {"a", "b", "c", "d"}, {true, true, false, false}, 0};
  const std::vector<double> values = {-1, -3, -2, -4};
  EXPECT_EQ(best_wins(item, values), 1.0);
  EXPECT_EQ(best_wins(item, {-2, -1, -2, -4}), 0.0);  // a tie is lost
  const double on_true = std::exp(-1) + std::exp(-3);
  const double on_false = std::exp(-2) + std::exp(-4);
  EXPECT_NEAR(true_mass(item, values), on_true / (on_true + on_false), 1e-12);
  EXPECT_EQ(true_above_all_false(item, values), 0.5);
  // Answers far too improbable for a float still have their shares.
  EXPECT_NEAR(true_mass(item, {-901, -903, -902, -904}),
              on_true / (on_true + on_false), 1e-12);
  // As released: of best, c and d the first two are looked at.
  EXPECT_EQ(best_wins(item, {-3, 0, -4, -2}, 2), 1.0);
  EXPECT_EQ(best_wins(item, {-3, 0, -4, -2}), 0.0);
}

class TruthfulQaTest : public testing::Test {
 protected:
  TruthfulQaTest() {
    std::string csv = kHeader;
    for (int i = 0; i < 40; ++i) {
      const std::string n = std::to_string(i);
      csv += "A,Law,Question " + n + "?,right " + n + ",right " + n +
             "; fine " + n + ",wrong " + n + "; bad " + n + "; odd " + n +
             ",x\n";
    }
    write_file_atomic(world_.data() + "/TruthfulQA.csv", csv);
  }
  ~TruthfulQaTest() override { set_interrupted(false); }
  ChoiceWorld world_;
};

// Prompted asks true or false in a form of its own, the plain forms as base.
TEST_F(TruthfulQaTest, WhatAnotherSubjectAskedIsNotAskedAgain) {
  const auto run = [&](const std::string& name, const std::string& form) {
    Subject subject;
    subject.name = name;
    subject.generator = &world_.model();
    subject.form = std::make_shared<PlainForm>(form);
    const int before = world_.num_asked();
    ItemLog log(world_.log_path() + name);
    const TaskResult result = run_truthfulqa(subject, log, world_.options());
    return std::pair(metric(result, "mc2.preset").value,
                     world_.num_asked() - before);
  };
  // 40 items: 2 plain requests, and one for each of 5 answers; 3 asked again.
  EXPECT_EQ(run("alone", "Ask: ").second, 43 * 7);
  KnownValues known;
  world_.options().known = &known;
  const auto base = run("base", "Ask: ");
  EXPECT_EQ(base.second, 43 * 7);
  EXPECT_EQ(run("prompted", "Think: "), std::pair(base.first, 43 * 7 - 40 * 2));
  known.clear();  // a new process: base's log is there
  EXPECT_EQ(run("base", "Ask: ").second, 0);
  EXPECT_EQ(run("again", "Muse: "), std::pair(base.first, 43 * 7 - 40 * 2));
}

TEST_F(TruthfulQaTest, AModelThatKnowsIsRightEverywhere) {
  world_.judge_by([](const std::string& context, const std::string& text) {
    if (text == " true" || text == " false") {
      const bool right = context.find("Answer: right") != std::string::npos ||
                         context.find("Answer: fine") != std::string::npos;
      return right == (text == " true") ? -0.1 : -3.0;
    }
    return text.starts_with(" right") || text.starts_with(" fine") ? -1.0
                                                                   : -50.0;
  });
  const TaskResult result = world_.run(run_truthfulqa);
  for (const char* name : {"mc1", "mc2", "mc3", "mc1.preset", "mc2.preset",
                           "mc3.preset", "true_false"}) {
    EXPECT_NEAR(metric(result, name).value, 1.0, 1e-9) << name;
  }
  EXPECT_EQ(metric(result, "mc1").num_items, 40);
  EXPECT_NEAR(*metric(result, "mc1").chance, 0.25, 1e-9);
  EXPECT_NEAR(*metric(result, "mc2").chance, 0.4, 1e-9);
  EXPECT_NEAR(*metric(result, "true_false_first_half").chance, 0.5, 1e-9);
  EXPECT_EQ(metric(result, "true_false_first_half").note,
            "as released: first half of the choices");
  EXPECT_LT(metric(result, "mc1").low, 1.0);
}

// Two of three choices are the first half: the third, thought truest, is not
// looked at.
TEST_F(TruthfulQaTest, TheFirstHalfHasTheMiddleChoice) {
  write_file_atomic(
      world_.data() + "/TruthfulQA.csv",
      std::string(kHeader) + "A,Law,Why?,right,right,wrong; bad,x\n");
  world_.judge_by([](const std::string& context, const std::string& text) {
    if (text != " true") return -2.0;
    if (context.find("Answer: bad") != std::string::npos) return -0.1;
    return context.find("Answer: right") != std::string::npos ? -1.0 : -3.0;
  });
  const TaskResult result = world_.run(run_truthfulqa);
  EXPECT_EQ(metric(result, "true_false").value, 0.0);
  EXPECT_EQ(metric(result, "true_false_first_half").value, 1.0);
  EXPECT_EQ(*metric(result, "true_false_first_half").chance, 0.5);
}

TEST_F(TruthfulQaTest, EveryRunTestsItself) {
  const TaskResult result = world_.run(run_truthfulqa);
  EXPECT_GE(result.self_tests.size(), 8u * 2 + 2);
  expect_self_tests_pass(result);
}

TEST_F(TruthfulQaTest, AModelThatMindsTheOrderIsFoundOut) {
  // Scores that depend on how often one was asked, as a broken cache's would.
  int calls = 0;
  world_.judge_by([&](const std::string&, const std::string&) {
    return -1.0 - 0.001 * ++calls;
  });
  const TaskResult result = world_.run(run_truthfulqa);
  EXPECT_FALSE(result.self_tests.back().passed);
}

TEST_F(TruthfulQaTest, AnInterruptLosesNothingAndNothingIsAskedTwice) {
  const TaskResult whole = world_.run(run_truthfulqa);
  const int num_asked = world_.num_asked();
  world_.forget();
  world_.interrupt_after(num_asked / 3);
  EXPECT_THROW(world_.run(run_truthfulqa), Error);
  set_interrupted(false);
  world_.interrupt_after(0);
  EXPECT_LT(world_.num_asked(), num_asked);
  EXPECT_GT(world_.num_asked(), 0);
  const TaskResult resumed = world_.run(run_truthfulqa);
  EXPECT_EQ(to_json(resumed), to_json(whole));
  EXPECT_EQ(world_.num_asked(), num_asked);
  world_.run(run_truthfulqa);
  EXPECT_EQ(world_.num_asked(), num_asked);
}

TEST_F(TruthfulQaTest, ALimitIsASampleAndSaysSo) {
  world_.options().limit = 10;
  const TaskResult result = world_.run(run_truthfulqa);
  EXPECT_EQ(metric(result, "mc1").num_items, 10);
  EXPECT_EQ(result.settings["items"], "10 of 40, seed 0");
}

TEST_F(TruthfulQaTest, WhatDoesNotFitIsAFailureAndCounted) {
  world_.judge_by([](const std::string& context, const std::string&) {
    if (context.find("Question 7?") != std::string::npos) {
      throw Error(ErrorKind::kInput, "context: too long");
    }
    return -1.0;
  });
  const TaskResult result = world_.run(run_truthfulqa);
  EXPECT_EQ(result.num_failures, 1);
  EXPECT_EQ(metric(result, "mc1").num_items, 40);
}

TEST_F(TruthfulQaTest, AnEditedLogIsNamed) {
  world_.run(run_truthfulqa);
  std::string log = read_file(world_.log_path());
  log.replace(log.find("\"zero_shot\":["), 13, "\"zero_shot\":[1,");
  write_file_atomic(world_.log_path(), log);
  EXPECT_THROW(world_.run(run_truthfulqa), Error);
}

}  // namespace
}  // namespace selfalign::eval
