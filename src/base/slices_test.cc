// SPDX-License-Identifier: Apache-2.0
#include "base/slices.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <thread>

namespace selfalign {
namespace {

TEST(Slices, AreOfTheThreadThatListens) {
  int num_ends = 0;
  end_slice();  // nobody listens
  {
    const SliceScope scope([&] { ++num_ends; });
    end_slice();
    std::thread([] { end_slice(); }).join();
  }
  end_slice();
  EXPECT_EQ(num_ends, 1);
}

TEST(Slices, InnerLoopsEndFewOfThem) {
  int num_ends = 0;
  const SliceScope scope([&] { ++num_ends; });
  SliceCounter slices;
  for (int i = 0; i < 10 * 1024 + 5; ++i) slices.count();
  EXPECT_EQ(num_ends, 10);
}

TEST(Slices, WhoListensMayEndTheWork) {
  const SliceScope scope([] { throw std::runtime_error("enough"); });
  EXPECT_THROW(end_slice(), std::runtime_error);
}

}  // namespace
}  // namespace selfalign
