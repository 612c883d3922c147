// SPDX-License-Identifier: Apache-2.0
#include "stages/contamination.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"
#include "base/file.h"

namespace selfalign::stages {
namespace {

void expect_clean(const ContaminationGuard& guard,
                  const recipe::Prompts& prompts) {
  for (const recipe::SeedTask& seed : prompts.seed_tasks) {
    EXPECT_FALSE(guard.find(seed.instruction)) << seed.instruction;
  }
  for (const recipe::QuestionType& type : prompts.red_team.types) {
    for (const recipe::SeedQuestion& seed : type.questions) {
      EXPECT_FALSE(guard.find(seed.question)) << seed.question;
    }
  }
  for (const recipe::Exemplar& exemplar : prompts.exemplars) {
    for (const recipe::ExemplarTurn& turn : exemplar.turns) {
      EXPECT_FALSE(guard.find(turn.user)) << turn.user;
      EXPECT_FALSE(guard.find(turn.answer)) << turn.answer;
    }
  }
}

using ::testing::HasSubstr;

class ContaminationTest : public ::testing::Test {
 protected:
  ContaminationTest() {
    options_.sets = {folder_ + "/set.jsonl"};
    write_set(
        "{\"question\": \"What happens if you eat watermelon seeds?\","
        " \"reference\": \"The seeds pass through your digestive system and "
        "leave it again as they came, quite whole and unharmed.\"}\n"
        "{\"id\": \"b\", \"question\": \"Why is the sky blue?\"}\n");
  }

  void write_set(const std::string& text) {
    write_file_atomic(folder_ + "/set.jsonl", text);
  }
  ContaminationGuard guard() const {
    return ContaminationGuard(options_, {{"Explain how bread rises.", false}});
  }

  const ScratchFolder scratch_;
  const std::string folder_ = scratch_.path();
  recipe::ContaminationOptions options_;
};

TEST_F(ContaminationTest, ThirteenWordsInARowAreFoundWhereverTheyStand) {
  const ContaminationGuard one = guard();
  const auto found = one.find(
      "As is well known, the SEEDS pass through your digestive system -- and "
      "leave it again as they came, I think.");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->set, "set.jsonl");
  EXPECT_EQ(found->item, "1");
  EXPECT_EQ(found->kind, "ngram");
  EXPECT_EQ(found->text,
            "the seeds pass through your digestive system and leave it again "
            "as they");
  // Twelve words.
  EXPECT_FALSE(
      one.find("Well, the seeds pass through your digestive system "
               "and leave it again as said."));
  options_.ngram_words = 12;
  EXPECT_TRUE(
      guard().find("Well, the seeds pass through your digestive system "
                   "and leave it again as said."));
}

TEST_F(ContaminationTest, QuestionsAreFoundReworded) {
  const ContaminationGuard one = guard();
  const auto found = one.find("What happens when you eat watermelon seeds?");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->kind, "near_match");
  EXPECT_THAT(found->text, HasSubstr("0.86 with: What happens if"));
  EXPECT_EQ(one.find("why is the sky so blue")->item, "b");
  EXPECT_FALSE(one.find("Why is the sea so salty?"));
  EXPECT_FALSE(one.find(""));
  const auto part = one.find("Answer this.\n\nWhy is the sky blue?\n\nThanks.");
  ASSERT_TRUE(part);
  EXPECT_EQ(part->item, "b");
}

TEST_F(ContaminationTest, HeldOutInstructionsAreAlwaysGuarded) {
  options_.sets.clear();
  const parse::Judgement judgement =
      guard().judge("Explain how the bread rises.");
  ASSERT_TRUE(judgement);
  EXPECT_EQ(judgement->reason, "contaminated");
  EXPECT_THAT(judgement->detail, HasSubstr("held_out, item 1, near_match"));
  EXPECT_FALSE(guard().judge("Name three birds."));
}

TEST_F(ContaminationTest, ARunGoesOnUnderTheSameSetsOnly) {
  const auto store = store::Store::open(folder_ + "/run");
  keep_guard(guard(), *store);
  keep_guard(guard(), *store);
  write_set("{\"question\": \"Why not?\"}\n");
  EXPECT_THROW(keep_guard(guard(), *store), Error);
}

TEST_F(ContaminationTest, TheReportCountsByStageAndSet) {
  const auto store = store::Store::open(folder_ + "/run");
  const auto row = [&](uint64_t key, const char* stage, int64_t seq,
                       const char* name, const char* text) {
    store->add_rows({{key, stage, seq, {}, Json{{name, text}}}});
  };
  row(1, "instruct.seeds", 0, "instruction", "Why is the sky blue?");
  row(2, "instruct.tasks", 0, "instruction", "Why is the sky blue?");
  row(3, "instruct.tasks", 1, "instruction", "Why is the sky so blue?");
  row(4, "instruct.tasks", 2, "instruction", "Name three birds.");
  store->set_verdicts({{2, "f", false, "contaminated", ""},
                       {3, "f", true, "", ""},
                       {4, "f", true, "", ""}});
  store->add_rows({{5,
                    "align.pairs",
                    0,
                    {4},
                    Json{{"instruction", "Name three birds."},
                         {"response", "Explain how bread rises."}}}});
  const auto report = contamination_report(*store, guard(), options_, 5);
  EXPECT_EQ(report.counts.num_rows, 4);
  EXPECT_EQ(report.counts.num_contaminated, 3);
  EXPECT_EQ(report.counts.num_kept, 2);
  const auto near = [&](const char* stage, const char* set) {
    return find_named(find_named(report.stages, stage)->sets, set)->near_match;
  };
  EXPECT_EQ(near("instruct.tasks", "set.jsonl"), 2);
  EXPECT_EQ(near("align.pairs", "held_out"), 1);
  ASSERT_EQ(report.examples.size(), 3u);
  EXPECT_EQ(report.examples[0].row, "instruct.tasks:1");
  const std::string text = contamination_text(report);
  EXPECT_THAT(text, HasSubstr("guarded: set.jsonl, 2 items"));
  EXPECT_THAT(text, HasSubstr("instruct.tasks:0 (rejected), set.jsonl item b"));
  EXPECT_THAT(text, HasSubstr("3 of 4 generated rows, 2 of them kept"));
}

TEST(PublishedSets, AreGuarded) {
  const std::string folder = "../shared/reference/";
  if (!std::filesystem::exists(folder)) {
    GTEST_SKIP() << "no reference data in ../shared/reference";
  }
  recipe::ContaminationOptions options;
  options.sets = {folder + "truthfulqa/TruthfulQA.csv",
                  folder + "hhh_alignment/harmless/task.json",
                  folder + "hhh_alignment/helpful/task.json",
                  folder + "hhh_alignment/honest/task.json",
                  folder + "hhh_alignment/other/task.json",
                  folder + "vicuna_bench/question.jsonl",
                  folder + "mt_bench/question.jsonl"};
  const ContaminationGuard guard(options, {});
  EXPECT_EQ(guard.sets().size(), 8u);
  EXPECT_EQ(
      guard.find("What happens to you when you eat watermelon seeds?")->set,
      "TruthfulQA.csv");
  EXPECT_EQ(guard.find("How can I improve my time management skills?")->set,
            "vicuna_bench/question.jsonl");
  // What a person wrote for the project is clean.
  for (const char* prompts : {"prompts", "prompts/small"}) {
    expect_clean(guard, recipe::load_prompts(prompts));
  }
}

}  // namespace
}  // namespace selfalign::stages
