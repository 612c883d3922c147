#include "eval/length_control.h"

#include <gtest/gtest.h>

#include <cmath>

namespace selfalign::eval {
namespace {

const std::vector<double> kWins = {1, 1, 0.5, 0, 1, 0, 0.5, 1, 1, 0, 1, 0.5};
const std::vector<double> kDifferences = {120, 340, -20, -200, 90,  15,
                                          60,  410, -75, -310, 220, -5};

// scikit-learn 1.x: LogisticRegression(C=100, fit_intercept=False,
// solver="newton-cholesky") on a column of ones and tanh(d / std(d)); a win of
// 0.5 is a row of each class with half the weight.
TEST(LengthControl, IsThatOfScikitLearn) {
  const LengthControl found = length_control(kWins, kDifferences);
  EXPECT_NEAR(found.win_rate, 0.5704159596431935, 1e-7);
  EXPECT_NEAR(found.slope, 3.0855895767123913, 1e-7);
}

TEST(LengthControl, TheRidgeHoldsWhatIsParted) {
  const LengthControl found =
      length_control({1, 1, 1, 0, 0, 0}, {5, 9, 30, -4, -11, -2});
  EXPECT_NEAR(found.win_rate, 0.2882460486387996, 1e-6);
  EXPECT_NEAR(found.slope, 8.114399989399086, 1e-5);
  const LengthControl all = length_control(std::vector<double>(80, 1.0),
                                           std::vector<double>(80, 7.0));
  EXPECT_GT(all.win_rate, 0.99);
  EXPECT_EQ(all.slope, 0.0);
}

TEST(LengthControl, SwappedSubjectsMirror) {
  std::vector<double> wins = kWins;
  std::vector<double> differences = kDifferences;
  for (double& win : wins) win = 1 - win;
  for (double& d : differences) d = -d;
  const LengthControl found = length_control(kWins, kDifferences);
  const LengthControl mirrored = length_control(wins, differences);
  EXPECT_NEAR(mirrored.win_rate, 1 - found.win_rate, 1e-12);
  EXPECT_NEAR(mirrored.slope, found.slope, 1e-9);
}

// A judge that likes length alone, and errs in one of ten: the raw rate is
// 70 %, the controlled one is nearer to a half.
TEST(LengthControl, TakesOutWhatIsLengthAlone) {
  std::vector<double> wins;
  std::vector<double> differences;
  for (int i = 0; i < 400; ++i) {
    const double d = (i % 4 == 0 ? -1.0 : 1.0) * (1 + i % 7);
    differences.push_back(d);
    wins.push_back((d > 0) == (i % 10 != 0) ? 1 : 0);
  }
  const LengthControl found = length_control(wins, differences);
  EXPECT_LT(found.win_rate, 0.68);
  EXPECT_GT(found.slope, 2);
}

TEST(LengthControl, WithoutItemsThereIsNothingToTell) {
  EXPECT_EQ(length_control({}, {}).win_rate, 0.5);
  EXPECT_EQ(length_control({1, 0}, {3, 3}).win_rate, 0.5);
}

TEST(LinearSlope, OfALine) {
  EXPECT_DOUBLE_EQ(linear_slope({0, 1, 2, 5}, {3, 5, 7, 13}), 2.0);
  EXPECT_EQ(linear_slope({4, 4}, {1, 2}), 0.0);
  EXPECT_EQ(linear_slope({}, {}), 0.0);
}

}  // namespace
}  // namespace selfalign::eval
