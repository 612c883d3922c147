// SPDX-License-Identifier: Apache-2.0
#include "stages/completing.h"

#include "base/interrupt.h"
#include "generate/scripted.h"
#include "stages/testing.h"

namespace selfalign::stages {
namespace {

constexpr char kStage[] = "a.requests";
constexpr char kCheckpoint[] = "accepted.a";
constexpr int64_t kNumRows = 100;

// Adds up the tokens of its answers, and remembers what it was asked.
class Adding : public AcceptAll {
 public:
  explicit Adding(bool has_checkpoint)
      : AcceptAll(kNumRows), has_checkpoint_(has_checkpoint) {}

  std::optional<PlannedRow> plan(int64_t n) override {
    first_planned_ = std::min(first_planned_, n);
    return AcceptAll::plan(n);
  }
  bool accept(const store::Row& row, const generate::Completion& completion,
              Accepted& out) override {
    sum_ += completion.num_tokens;
    ++num_judged_;
    return AcceptAll::accept(row, completion, out);
  }
  std::string checkpoint() const override {
    return has_checkpoint_ ? kCheckpoint : "";
  }
  Json state() const override { return {{"sum", sum_}}; }
  void set_state(const Json& state, int64_t /*num_accepted*/,
                 const std::string& where) override {
    sum_ = json_int(state, "sum", where);
  }

  int64_t sum() const { return sum_; }
  int64_t num_judged() const { return num_judged_; }
  int64_t first_planned() const { return first_planned_; }

 private:
  const bool has_checkpoint_;
  int64_t sum_ = 0;
  int64_t num_judged_ = 0;
  int64_t first_planned_ = kNumRows;
};

class CompletingTest : public ::testing::Test {
 protected:
  CompletingTest()
      : folder_(::testing::TempDir() + "completing." +
                std::to_string(getpid())) {
    std::filesystem::remove_all(folder_);
    store_ = store::Store::open(folder_);
  }
  ~CompletingTest() override {
    set_interrupted(false);
    store_.reset();
    std::filesystem::remove_all(folder_);
  }

  // Ends at the third commit.
  int64_t stop_on_the_way(Adding& plan) {
    store_->set_commit_hook(
        [count = 0]() mutable { set_interrupted(++count >= 3); });
    EXPECT_EQ(error_of([&] { complete(plan); }).kind(),
              ErrorKind::kInterrupted);
    store_->set_commit_hook(nullptr);
    set_interrupted(false);
    return plan.num_judged();
  }
  int64_t complete(Adding& plan) {
    const auto generator = generate::make_scripted_generator({});
    return complete_rows(plan, *generator, *store_);
  }

  const std::string folder_;
  std::unique_ptr<store::Store> store_;
};

TEST_F(CompletingTest, ALaterProcessGoesOnBehindTheCheckpoint) {
  Adding all(false);
  EXPECT_EQ(complete(all), kNumRows);
  EXPECT_GT(all.sum(), 0);
  store_.reset();
  std::filesystem::remove_all(folder_);
  store_ = store::Store::open(folder_);

  Adding begun(true);
  const int64_t before = stop_on_the_way(begun);
  EXPECT_GT(before, 0);
  EXPECT_LT(before, kNumRows);
  Adding rest(true);
  EXPECT_EQ(complete(rest), kNumRows);
  EXPECT_EQ(rest.first_planned(), before);
  EXPECT_EQ(rest.num_judged(), kNumRows - before);
  EXPECT_EQ(rest.sum(), all.sum());
  EXPECT_EQ(store_->num_completions(kStage), kNumRows);
}

// Its process may have ended before the stage's manifest was committed.
TEST_F(CompletingTest, WhatHasEndedDoesNotGoOn) {
  store_->set_meta(kCheckpoint,
                   R"({"accepted": 3, "ended": true, "state": {"sum": 7}})");
  Adding plan(true);
  EXPECT_EQ(complete(plan), 3);
  EXPECT_EQ(plan.sum(), 7);
  EXPECT_EQ(plan.first_planned(), kNumRows);
}

TEST_F(CompletingTest, WithoutACheckpointAllIsAcceptedAgain) {
  Adding begun(false);
  stop_on_the_way(begun);
  Adding rest(false);
  EXPECT_EQ(complete(rest), kNumRows);
  EXPECT_EQ(rest.first_planned(), 0);
  EXPECT_EQ(rest.num_judged(), kNumRows);
}

TEST_F(CompletingTest, ACheckpointThatIsNoneIsDamage) {
  for (const std::string text :
       {"[]", R"({"accepted": -1, "ended": false, "state": {"sum": 0}})",
        R"({"accepted": 3, "ended": false, "state": {}})"}) {
    store_->set_meta(kCheckpoint, text);
    Adding plan(true);
    EXPECT_EQ(error_of([&] { complete(plan); }).kind(), ErrorKind::kDamaged)
        << text;
  }
}

}  // namespace
}  // namespace selfalign::stages
