// SPDX-License-Identifier: Apache-2.0
#include "base/progress.h"

#include <gtest/gtest.h>

namespace selfalign {
namespace {

TEST(Progress, TimesAndRatesAreShort) {
  EXPECT_EQ(time_text(-1), "0s");
  EXPECT_EQ(time_text(12.4), "12s");
  EXPECT_EQ(time_text(250), "4m10s");
  EXPECT_EQ(time_text(3 * 3600 + 300), "3h05m");
  EXPECT_EQ(rate_text(1.25), "1.25");
  EXPECT_EQ(rate_text(37.2), "37");
}

}  // namespace
}  // namespace selfalign
