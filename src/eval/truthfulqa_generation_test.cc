// SPDX-License-Identifier: Apache-2.0
#include "eval/truthfulqa_generation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"
#include "eval/answering.h"
#include "eval/testing.h"

namespace selfalign::eval {
namespace {

constexpr char kCsv[] =
    "Type,Category,Question,Best Answer,Correct Answers,Incorrect Answers,"
    "Source\n"
    "A,Law,One?,The moon is made of rock,The moon is rock,The moon is made of "
    "cheese; It is cheese,x\n"
    "A,Law,Two?,Nobody knows that yet,Nobody knows that yet,Everybody knew it "
    "long ago,x\n"
    "A,Law,Three?,The sun is a star,The sun is a star,The sun is a burning "
    "ball,x\n";

class GenerationTest : public testing::Test {
 protected:
  GenerationTest() {
    write_file_atomic(world_.data() + "/TruthfulQA.csv", kCsv);
  }
  ~GenerationTest() override { set_interrupted(false); }
  double value(const TaskResult& result, const std::string& name) {
    return metric(result, name).value;
  }
  ChoiceWorld world_;
};

TEST_F(GenerationTest, AnswersAreSetAgainstBothSides) {
  world_.model().answer = [](const std::string& prompt) {
    if (prompt.find("One?") != std::string::npos) {
      return "The moon is made of cheese.";
    }
    return prompt.find("Two?") != std::string::npos ? "I have no comment."
                                                    : "The sun is a star.";
  };
  const TaskResult result = world_.run(run_truthfulqa_generation);
  EXPECT_NEAR(value(result, "bleu_acc"), 2.0 / 3, 1e-12);
  EXPECT_NEAR(value(result, "rougeL_acc"), 2.0 / 3, 1e-12);
  EXPECT_GT(value(result, "rouge1_diff"), 0.0);
  EXPECT_EQ(result.num_failures, 0);
  expect_self_tests_pass(result);
}

TEST_F(GenerationTest, NothingIsAskedTwice) {
  const TaskResult whole = world_.run(run_truthfulqa_generation);
  EXPECT_EQ(world_.num_asked(), 3);
  world_.forget();
  world_.interrupt_after(2);
  EXPECT_THROW(world_.run(run_truthfulqa_generation), Error);
  set_interrupted(false);
  world_.interrupt_after(0);
  EXPECT_EQ(to_json(world_.run(run_truthfulqa_generation)), to_json(whole));
  EXPECT_EQ(world_.num_asked(), 3);
}

// What a model was asked with.
class SamplingModel final : public generate::Generator {
 public:
  void generate(const generate::NextRequest& next,
                const generate::OnCompletion& done) override {
    while (const auto request = next()) {
      asked.push_back(request->sampling);
      done({.key = request->key, .text = "x"});
    }
  }
  std::vector<generate::Scores> score(
      const std::vector<generate::ScoreRequest>&) override {
    return {};
  }
  std::string fingerprint() const override { return "sampling model"; }
  int count_tokens(const std::string&) const override { return 1; }

  std::vector<generate::Sampling> asked;
};

TEST_F(GenerationTest, GreedyHasNoPenaltyUnlessOneIsGiven) {
  SamplingModel model;
  Subject subject;
  subject.name = "verbose";
  subject.generator = &model;
  generate::Sampling sampling;
  sampling.temperature = 0.3;
  sampling.repetition_penalty = 1.1;
  subject.form = std::make_shared<PlainForm>("", "", sampling);
  TaskOptions options = world_.options();
  options.decoding.own = true;
  {
    ItemLog log(world_.log_path());
    const TaskResult result = run_truthfulqa_generation(subject, log, options);
    EXPECT_EQ(result.settings["decoding"], "own");
    EXPECT_EQ(result.settings["sampling"]["temperature"], 0.0);
    EXPECT_EQ(result.settings["sampling"]["repetition_penalty"], 1.0);
  }
  ASSERT_FALSE(model.asked.empty());
  EXPECT_EQ(model.asked[0].temperature, 0.0);
  EXPECT_EQ(model.asked[0].repetition_penalty, 1.0);
  EXPECT_EQ(model.asked[0].max_new_tokens, 128);
  // In so many words; what was logged under other settings is not taken.
  const size_t num_asked = model.asked.size();
  options.decoding = {};
  options.decoding.given.temperature = 0.9;
  options.decoding.given.repetition_penalty = 1.2;
  ItemLog log(world_.log_path());
  const TaskResult result = run_truthfulqa_generation(subject, log, options);
  ASSERT_EQ(model.asked.size(), 2 * num_asked);
  EXPECT_EQ(model.asked.back().temperature, 0.9);
  EXPECT_EQ(model.asked.back().repetition_penalty, 1.2);
  EXPECT_EQ(result.settings["decoding"], "one");
  // The subject's own penalty is off where it is asked greedily, not else.
  options.decoding.given.repetition_penalty.reset();
  run_truthfulqa_generation(subject, log, options);
  EXPECT_EQ(model.asked.back().repetition_penalty, 1.1);
}

TaskResult two_turns(const Subject& subject, ItemLog& log,
                     const TaskOptions& options) {
  TaskResult result;
  AnsweringOptions answering{"talk", "1", options.seed, {}, {}, {}};
  for (Json& item : answer_conversations(
           {{"a", "g", {"first", "second"}}, {"b", "", {"only"}}}, subject, log,
           answering)) {
    result.settings.push_back(item);
  }
  return result;
}

TEST_F(GenerationTest, ATurnIsAskedAfterTheOnesBeforeIt) {
  world_.model().answer = [](const std::string& prompt) {
    return "to: " + prompt;
  };
  const Json items = world_.run(two_turns).settings;
  ASSERT_EQ(items.size(), 2u);
  EXPECT_EQ(items[0]["turns"], Json({"first", "second"}));
  EXPECT_EQ(items[0]["answers"].size(), 2u);
  EXPECT_EQ(items[0]["answers"][1], "to: User: second\nAssistant:");
  EXPECT_EQ(items[0]["finish"], Json({"stop", "stop"}));
  EXPECT_EQ(items[1]["question"], "only");
  EXPECT_EQ(items[1]["answer"], "to: User: only\nAssistant:");
  EXPECT_EQ(world_.num_asked(), 3);
}

}  // namespace
}  // namespace selfalign::eval
