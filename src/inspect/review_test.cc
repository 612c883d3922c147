// SPDX-License-Identifier: Apache-2.0
#include "inspect/review.h"

#include <gmock/gmock.h>

#include "stages/decisions.h"
#include "stages/testing.h"

namespace selfalign::inspect {
namespace {

using store::Decision;

class ReviewTest : public stages::SmallRun {
 protected:
  Review review(ReviewOptions options = {}) {
    options.author = "ann";
    return Review(*store_, prompts_, options);
  }
};

TEST_F(ReviewTest, ShowsAPairWithItsThoughtAndRules) {
  const Review pairs = review();
  EXPECT_EQ(pairs.size(), 2u);
  const ReviewItem item = pairs.item();
  EXPECT_EQ(item.instruction, "Write a poem about roses.");
  EXPECT_EQ(item.thought, "Asks for a poem. Rules 3 (helpful).");
  EXPECT_EQ(item.rules, (std::vector<std::string>{"3 (helpful)"}));
  EXPECT_EQ(item.answer, "Roses are red.");
  EXPECT_FALSE(item.decided || item.verdict);
}

TEST_F(ReviewTest, DecisionsAreKeptAndNotAskedForAgain) {
  Review first = review();
  EXPECT_FALSE(first.back());
  first.decide(Decision::kDrop, "", "dull");
  EXPECT_TRUE(first.back());
  EXPECT_EQ(first.item().decided->note, "dull");
  first.decide(Decision::kEdit, " Roses, ah. \n", "");
  first.skip();
  EXPECT_TRUE(first.at_end());
  EXPECT_EQ(store_->review(30)->text, "Roses, ah.");
  EXPECT_EQ(store_->review(30)->author, "ann");
  Review second = review();
  ASSERT_EQ(second.size(), 1u);
  EXPECT_EQ(second.item().row.key, 31u);
  EXPECT_EQ(review({.limit = 1}).size(), 1u);
}

TEST_F(ReviewTest, RejectedAnswersBecomePairsWhenWanted) {
  Review rejected = review({.rejected = true});
  ASSERT_EQ(rejected.size(), 1u);
  EXPECT_EQ(rejected.item().verdict->reason, "no_answer");
  EXPECT_EQ(kind_of([&] { rejected.decide(Decision::kKeep, "", ""); }),
            ErrorKind::kUsage);
  EXPECT_EQ(kind_of([&] { rejected.decide(Decision::kEdit, " ", ""); }),
            ErrorKind::kUsage);
  EXPECT_EQ(stages::reviewed_pairs(*store_, "align.pairs").size(), 2u);
  rejected.decide(Decision::kEdit, "It is sunny.", "");
  const auto pairs = stages::reviewed_pairs(*store_, "align.pairs");
  ASSERT_EQ(pairs.size(), 3u);
  EXPECT_EQ(pairs[2].response, "It is sunny.");
  EXPECT_TRUE(pairs[2].reviewed);
}

TEST_F(ReviewTest, AnAnswerThatTheFilterRejectedIsKeptAsItStands) {
  store_->set_verdicts({{22, recipe::profile_named("default").align.name, false,
                         "garbled", ""}});
  Review rejected = review({.rejected = true});
  rejected.skip();
  EXPECT_EQ(rejected.item().answer, "Because light scatters in the air.");
  rejected.decide(Decision::kKeep, "", "");
  EXPECT_EQ(store_->review(22)->text, "Because light scatters in the air.");
  EXPECT_TRUE(stages::reviewed_pairs(*store_, "align.pairs").back().ends);
}

TEST_F(ReviewTest, InstructionsAreKeptOrDropped) {
  Review tasks = review({.stage = "instruct.tasks"});
  EXPECT_EQ(tasks.size(), 3u);
  EXPECT_EQ(kind_of([&] { tasks.decide(Decision::kEdit, "x", ""); }),
            ErrorKind::kUsage);
  tasks.decide(Decision::kDrop, "", "");
  EXPECT_EQ(store_->review(10)->decision, Decision::kDrop);
  for (const char* stage : {"align.answers", "instruct.seeds", "engrave"}) {
    EXPECT_EQ(kind_of([&] { review({.stage = stage}); }), ErrorKind::kUsage);
  }
  EXPECT_EQ(
      kind_of([&] { review({.stage = "instruct.tasks", .rejected = true}); }),
      ErrorKind::kUsage);
}

TEST_F(ReviewTest, NamesOnlyStagesThatCanBeDecidedOn) {
  const auto refusal = [this](const char* stage) {
    return std::string(error_of([&] { review({.stage = stage}); }).what());
  };
  EXPECT_THAT(refusal("verbose.pairs"),
              testing::EndsWith("this run has no rows of verbose.pairs; "
                                "stages to decide on are: "
                                "instruct.tasks align.pairs"));
  store_.reset();
  std::filesystem::remove_all(folder_);
  store_ = store::Store::open(folder_);
  store_->add_rows({{1, "given.conversations", 0, {}, Json::object()}});
  EXPECT_THAT(refusal("align.pairs"),
              testing::EndsWith("; it has no stage to decide on"));
}

TEST_F(ReviewTest, SaysWhatIsMadeAlready) {
  EXPECT_EQ(how_to_honour(*store_, "align.pairs"), "");
  EXPECT_NE(how_to_honour(*store_, "instruct.tasks").find("align.answers"),
            std::string::npos);
}

}  // namespace
}  // namespace selfalign::inspect
