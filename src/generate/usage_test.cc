// SPDX-License-Identifier: Apache-2.0
#include "generate/usage.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace selfalign::generate {
namespace {

TEST(UsageTest, ACostIsOfAMillionTokens) {
  const Usage usage{4, 2'000'000, 500'000, 1};
  const Price price = price_from_text("2.5,10");
  EXPECT_DOUBLE_EQ(usage.cost(price), 10.0);
  const UsageReport report = usage_report(usage, price);
  EXPECT_EQ(to_json(report)["cost"], 10.0);
  EXPECT_EQ(usage_text(report),
            "4 requests, 2,000,000 tokens in, 500,000 out (estimated for 1), "
            "cost 10.0000");
  EXPECT_FALSE(to_json(usage_report(usage, Price{})).contains("cost"));
  EXPECT_EQ(usage_text(usage_report({12, 7, 1234, 0}, Price{})),
            "12 requests, 7 tokens in, 1,234 out");
}

TEST(UsageTest, APriceIsTwoNumbers) {
  EXPECT_TRUE(price_from_text("0,10").is_known());
  EXPECT_FALSE(price_from_text("0,0").is_known());
  for (const char* text :
       {"", "2.5", "a,b", "2.5,", "-1,2", "1,2,3", "nan,1", "1, 2", "inf,1"}) {
    EXPECT_THROW(price_from_text(text), Error) << text;
  }
}

}  // namespace
}  // namespace selfalign::generate
