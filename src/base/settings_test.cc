// SPDX-License-Identifier: Apache-2.0
#include "base/settings.h"

#include <gtest/gtest.h>

#include "base/testing.h"
#include "base/tune_options.h"

namespace selfalign {
namespace {

std::string problem_of(const TuneOptions& tune) {
  RangeCheck check("training");
  return message_of([&] { TuneOptions::describe(check, tune); });
}

TEST(RangeCheck, NamesTheFirstNumberOutOfItsRange) {
  TuneOptions tune;
  EXPECT_EQ(problem_of(tune), "no error");
  tune.rank = 0;
  tune.epochs = 0;
  EXPECT_EQ(problem_of(tune),
            "training: expected rank from 1 to 4096, found 0; change it");
}

}  // namespace
}  // namespace selfalign
