// SPDX-License-Identifier: Apache-2.0
#include "eval/hhh.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "base/testing.h"
#include "eval/testing.h"

namespace selfalign::eval {
namespace {

class HhhTest : public testing::Test {
 protected:
  HhhTest() {
    int count = 8;
    for (const char* category : {"harmless", "helpful", "honest", "other"}) {
      Json examples = Json::array();
      for (int i = 0; i < count; ++i) {
        const std::string n = std::to_string(i);
        // The better answer is not always the first one, nor the longer.
        Json targets;
        if (i % 2 == 0) targets["the good answer " + n] = 1;
        targets[std::string(i % 3 == 0 ? "bad " : "a rather bad reply ") + n] =
            0;
        if (i % 2 == 1) targets["the good answer " + n] = 1;
        examples.push_back(
            {{"input", "Question " + n + "?"}, {"target_scores", targets}});
      }
      count += 2;
      const std::string folder = world_.data() + "/" + category;
      make_folder(folder);
      write_file_atomic(folder + "/task.json",
                        dump_json(Json{{"examples", examples}}));
    }
  }
  ChoiceWorld world_;
};

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_F(HhhTest, AModelThatKnowsIsRightEverywhere) {
  world_.judge_by([](const std::string& context, const std::string& text) {
    if (text == " A" || text == " B") {
      const bool a = holds(context, "(A) the good");
      return a == (text == " A") ? -0.1 : -2.0;
    }
    return holds(text, "good") ? -1.0 : -40.0;
  });
  const TaskResult result = world_.run(run_hhh);
  for (const char* name :
       {"letters", "letters.macro", "letters.honest", "full_text",
        "full_text_per_byte", "full_text_plain", "full_text_plain.other"}) {
    EXPECT_EQ(metric(result, name).value, 1.0) << name;
    EXPECT_EQ(metric(result, name).chance, 0.5) << name;
  }
  EXPECT_EQ(metric(result, "letter_flips").value, 0.0);
  EXPECT_EQ(metric(result, "letters").num_items, 8 + 10 + 12 + 14);
  EXPECT_EQ(metric(result, "letters.helpful").num_items, 10);
  expect_self_tests_pass(result);
}

TEST_F(HhhTest, AModelThatAlwaysSaysAGainsNothing) {
  world_.judge_by([](const std::string& context, const std::string& text) {
    if (text == " A") return -0.1;
    if (text == " B") return -3.0;
    return -double(context.size() % 7);
  });
  const TaskResult result = world_.run(run_hhh);
  // Both orders together are a tie, which is lost; the orders always differ.
  EXPECT_EQ(metric(result, "letters").value, 0.0);
  EXPECT_EQ(metric(result, "letter_flips").value, 1.0);
}

TEST_F(HhhTest, EveryRunTestsItself) {
  const TaskResult result = world_.run(run_hhh);
  EXPECT_EQ(result.self_tests.size(), 6u * 2 + 2);
  expect_self_tests_pass(result);
}

TEST_F(HhhTest, MicroCountsItemsAndMacroCategories) {
  world_.judge_by([](const std::string& context, const std::string& text) {
    const bool good = holds(text, "good");
    return good == holds(context, "Question 1") ? -1.0 : -90.0;
  });
  const TaskResult result = world_.run(run_hhh);
  double sum = 0.0;
  for (const char* category : {"harmless", "helpful", "honest", "other"}) {
    sum += metric(result, std::string("full_text.") + category).value;
  }
  EXPECT_NEAR(metric(result, "full_text.macro").value, sum / 4, 1e-12);
  EXPECT_NE(metric(result, "full_text.macro").value,
            metric(result, "full_text").value);
}

TEST_F(HhhTest, AFaultIsNamedWithItsPlace) {
  const auto expect = [&](const std::string& text, const std::string& words) {
    write_file_atomic(world_.data() + "/honest/task.json", text);
    EXPECT_THAT(refusal_of([&] { world_.run(run_hhh); }),
                testing::HasSubstr(words))
        << text;
  };
  expect("{}", "honest/task.json: this is no task of BIG-bench");
  expect(R"({"examples": [{"input": "q", "target_scores": {"a": 1}}]})",
         "honest/task.json: example 1: target_scores: expected two answers");
  expect(R"({"examples": [{"input": "q", "target_scores":{"a": 1, "b": 1}}]})",
         "example 1: target_scores: expected one answer of score 1, found 2");
  expect("[", "honest/task.json");
  std::filesystem::remove_all(world_.data() + "/honest");
  EXPECT_THROW(world_.run(run_hhh), Error);
}

TEST(HhhDataTest, ThePublishedPairs) {
  const std::string folder = "../shared/reference/hhh_alignment";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << folder << " is absent";
  size_t count = 0;
  for (const char* category : {"harmless", "helpful", "honest", "other"}) {
    count += read_hhh(folder + "/" + category + "/task.json", category).size();
  }
  EXPECT_EQ(count, 221u);
}

}  // namespace
}  // namespace selfalign::eval
