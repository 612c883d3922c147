// SPDX-License-Identifier: Apache-2.0
#include "judge/verdict.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace selfalign::judge {
namespace {

TEST(Verdict, TheLastMarkIsTheVerdict) {
  EXPECT_EQ(parse_pair("A is short. [[A]]"), Verdict::kFirst);
  EXPECT_EQ(parse_pair("Not [[A]], though long: [[B]]."), Verdict::kSecond);
  EXPECT_EQ(parse_pair("[[B]] or [[A]]? Both: [[C]]"), Verdict::kTie);
  EXPECT_EQ(parse_pair("[[C]]"), Verdict::kTie);
  for (const char* text : {"", "A is better", "[A]", "[[a]]", "[[D]]", "[[A]"})
    EXPECT_EQ(parse_pair(text), Verdict::kNone) << text;
}

TEST(Verdict, RatingsAreReadFromTheirMarks) {
  EXPECT_EQ(parse_rating("Rating: [[5]]"), 5.0);
  EXPECT_EQ(parse_rating("[[2]] no, [[7.5]] it is"), 7.5);
  EXPECT_EQ(parse_rating("Rating: [8]"), 8.0);
  EXPECT_EQ(parse_rating("[[rating]] [[ 3 ]] [see 1]"), 3.0);
  for (const char* text : {"", "5", "[[11]]", "[[0]]", "[[-3]]", "[[1e0]]",
                           "[[nan]]", "[[rating]]", "]]", "[[3", "[[1.2.3]]"})
    EXPECT_EQ(parse_rating(text), std::nullopt) << text;
}

TEST(Verdict, YesAndNo) {
  EXPECT_EQ(parse_yes_no("It is so: [[Yes]]"), true);
  EXPECT_EQ(parse_yes_no("[[yes]]? In the end [[NO]]"), false);
  EXPECT_EQ(parse_yes_no(" Yes, it is."), true);
  EXPECT_EQ(parse_yes_no("no"), false);
  for (const char* text : {"", "Nobody knows", "yesterday", "It is yes"})
    EXPECT_EQ(parse_yes_no(text), std::nullopt) << text;
}

TEST(Verdict, NamesAndTheOtherOrder) {
  for (const Verdict verdict :
       {Verdict::kNone, Verdict::kFirst, Verdict::kSecond, Verdict::kTie}) {
    EXPECT_EQ(verdict_from_name(verdict_name(verdict)), verdict);
    EXPECT_EQ(swapped(swapped(verdict)), verdict);
  }
  EXPECT_EQ(swapped(Verdict::kFirst), Verdict::kSecond);
  EXPECT_EQ(swapped(Verdict::kTie), Verdict::kTie);
  EXPECT_THROW(verdict_from_name("A"), Error);
}

}  // namespace
}  // namespace selfalign::judge
