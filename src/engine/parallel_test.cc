// SPDX-License-Identifier: Apache-2.0
#include "engine/parallel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>
#include <vector>

#include "model/aten.h"

namespace selfalign::engine {
namespace {

class Parallel : public testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    before_ = at::get_num_threads();
    at::set_num_threads(GetParam());
  }
  void TearDown() override { at::set_num_threads(before_); }

 private:
  int before_ = 1;
};

TEST_P(Parallel, EveryTaskRunsOnce) {
  for (int round = 0; round < 2000; ++round) {
    const int64_t count = round % 37;
    std::vector<int> runs(static_cast<size_t>(count));
    parallel_for(count, [&](int64_t i) { ++runs[static_cast<size_t>(i)]; });
    for (int n : runs) ASSERT_EQ(n, 1) << round;
  }
}

TEST_P(Parallel, ThreadsHaveNumbers) {
  std::atomic<bool> good = true;
  parallel_for(500, [&](int64_t) {
    if (this_thread() < 0 || this_thread() >= num_threads()) good = false;
  });
  EXPECT_TRUE(good);
}

TEST_P(Parallel, ExceptionsReachTheCaller) {
  std::atomic<int> runs = 0;
  const auto work = [&](int64_t i) {
    ++runs;
    if (i % 3 == 1) throw std::runtime_error("task");
  };
  EXPECT_THROW(parallel_for(20, work), std::runtime_error);
  runs = 0;
  parallel_for(20, [&](int64_t) { ++runs; });
  EXPECT_EQ(runs, 20);
}

TEST_P(Parallel, InnerLoopsArePlain) {
  std::atomic<int> runs = 0;
  parallel_for(8, [&](int64_t) { parallel_for(8, [&](int64_t) { ++runs; }); });
  EXPECT_EQ(runs, 64);
}

TEST_P(Parallel, SeveralThreadsMayCall) {
  std::atomic<int> runs = 0;
  std::vector<std::thread> callers;
  callers.reserve(3);
  for (int t = 0; t < 3; ++t) {
    callers.emplace_back([&] {
      for (int round = 0; round < 300; ++round) {
        parallel_for(5, [&](int64_t) { ++runs; });
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(runs, 4500);
}

INSTANTIATE_TEST_SUITE_P(Threads, Parallel, testing::Values(1, 2, 5));

// All tasks of three loops are at work at the same time.
TEST(OwnThreads, EachThreadHasHelpersOfItsOwn) {
  const int before = num_threads();
  std::atomic<int> at_once = 0;
  std::vector<std::thread> callers;
  callers.reserve(3);
  for (int t = 0; t < 3; ++t) {
    callers.emplace_back([&] {
      const OwnThreads own(2);
      EXPECT_EQ(num_threads(), 2);
      parallel_for(2, [&](int64_t) {
        ++at_once;
        for (int i = 0; i < 5000 && at_once < 6; ++i) {
          std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
        EXPECT_EQ(at_once, 6);
      });
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(num_threads(), before);
}

}  // namespace
}  // namespace selfalign::engine
