// SPDX-License-Identifier: Apache-2.0
#include "stages/work.h"

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "base/interrupt.h"
#include "base/testing.h"
#include "generate/scripted.h"
#include "stages/completing.h"
#include "stages/testing.h"

namespace selfalign::stages {
namespace {

constexpr double kPerRow = 0.02;  // seconds

class WorkTest : public ::testing::Test {
 protected:
  WorkTest() : folder_(::testing::TempDir() + "selfalign_work") {
    std::filesystem::remove_all(folder_);
    store_ = store::Store::open(folder_);
  }
  ~WorkTest() override {
    store_.reset();
    std::filesystem::remove_all(folder_);
  }

  // Rows 0 to num_rows - 1 of three words each; stops after `stop_after` new
  // ones.
  void complete(int64_t num_rows, int stop_after = 0) {
    AcceptAll plan(num_rows);
    generate::ScriptedOptions options;
    options.num_slots = 1;
    options.script = [&, count = 0](const generate::Request&) mutable {
      std::this_thread::sleep_for(std::chrono::duration<double>(kPerRow));
      if (++count == stop_after) set_interrupted(true);
      return std::string("one two three");
    };
    const auto generator = generate::make_scripted_generator(options);
    if (stop_after > 0) {
      EXPECT_EQ(kind_of([&] { complete_rows(plan, *generator, *store_); }),
                ErrorKind::kInterrupted);
      set_interrupted(false);
    } else {
      complete_rows(plan, *generator, *store_);
    }
  }
  Work work() const { return work_of(*store_, "a.requests").value_or(Work{}); }

  const std::string folder_;
  std::unique_ptr<store::Store> store_;
};

TEST_F(WorkTest, IsTheSumOverSessionsWithoutWhatLiesBetween) {
  const std::string digest = store_->run_digest();
  EXPECT_FALSE(work_of(*store_, "a.requests"));
  complete(8, 3);
  const Work first = work();
  EXPECT_GE(first.num_completions, 3);
  EXPECT_EQ(first.num_tokens, 3 * first.num_completions);
  EXPECT_GE(first.seconds, 3 * kPerRow);
  std::this_thread::sleep_for(std::chrono::milliseconds(700));
  store_.reset();
  store_ = store::Store::open(folder_);
  complete(8);
  const Work all = work();
  EXPECT_EQ(all.num_completions, 8);
  EXPECT_EQ(all.num_tokens, 24);
  EXPECT_GE(all.seconds, first.seconds + 5 * kPerRow);
  EXPECT_LT(all.seconds, 8 * kPerRow + 0.6);
  EXPECT_EQ(store_->run_digest(), digest);
}

TEST_F(WorkTest, WhatIsThereAlreadyTakesNoTime) {
  complete(4);
  const Work before = work();
  complete(4);
  EXPECT_EQ(work().seconds, before.seconds);
  EXPECT_EQ(work().num_completions, 4);
}

TEST_F(WorkTest, ADamagedRecordIsAnError) {
  store_->set_meta("work.a.requests", "{\"seconds\": \"long\"}");
  EXPECT_EQ(kind_of([&] { work_of(*store_, "a.requests"); }),
            ErrorKind::kDamaged);
}

}  // namespace
}  // namespace selfalign::stages
