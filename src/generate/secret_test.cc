// SPDX-License-Identifier: Apache-2.0
#include "generate/secret.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace selfalign::generate {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kKey[] = "sk-Abc/12+example_9";

TEST(Secret, IsCutOutOfTextInEveryForm) {
  const Secret secret(kKey);
  const auto cut = [&](const std::string& text) {
    return secret.cut_from("a " + text + " b");
  };
  for (const char* form : {
           "sk-Abc/12+example_9", "SK-ABC/12+EXAMPLE_9",
           "sk-Abc\\/12+example_9",                   // JSON
           "sk-Abc\\\\\\/12+example_9",               // JSON within JSON
           "\\u0073\\u006b-Abc\\u002f12+example_9",   // the same
           "sk-Abc%2F12%2bexample_9",                 // a URL
           "sk-Abc%252F12%252Bexample_9",             // twice
           "sk-Abc&#47;12&#x2b;example_9",            // HTML
           "736b2d4162632f31322b6578616d706c655f39",  // hexadecimal
           "736B2D4162632F31322B6578616D706C655F39",  //
           "sk-Abc/1", "12+example_9", "Abc/12+exa",  // parts
       }) {
    EXPECT_EQ(cut(form), "a [key] b") << form;
  }
}

TEST(Secret, IsCutOutOfBase64WhereverItStands) {
  const Secret secret(kKey);
  // Of "K", ":K", "u:K" and "Bearer K"; what stands before and behind may stay.
  for (const char* form :
       {"c2stQWJjLzEyK2V4YW1wbGVfOQ==", "OnNrLUFiYy8xMitleGFtcGxlXzk=",
        "dTpzay1BYmMvMTIrZXhhbXBsZV85",
        "QmVhcmVyIHNrLUFiYy8xMitleGFtcGxlXzk="}) {
    const std::string left = secret.cut_from(form);
    EXPECT_THAT(left, HasSubstr("[key]")) << form;
    EXPECT_LT(left.size(), 20u) << form << " " << left;
  }
  // The other alphabet: "?>?" becomes "Pz4_" in place of "Pz4/".
  EXPECT_THAT(Secret("?>?>?>?>?>").cut_from("Pz4_Pj8-Pz4_Pg=="),
              HasSubstr("[key]"));
}

TEST(Secret, LeavesTheRestAsItIs) {
  const Secret secret(kKey);
  for (const std::string& text :
       {std::string("nothing of it: sk-Abc\\n 100 % & \\ "),
        std::string("{\"a\":\"\\u00e9\\\\\"}"), std::string("a\0b\xff", 4),
        std::string()}) {
    EXPECT_EQ(secret.cut_from(text), text);
  }
  EXPECT_EQ(secret.cut_from("x sk-Abc/12+example_9 sk-Abc/12+example_9"),
            "x [key] [key]");
}

TEST(Secret, AShortKeyIsCutWholeAndAWordIsNone) {
  EXPECT_EQ(Secret("a-7").cut_from("a-7"), "a-7");
  EXPECT_EQ(Secret("ab-7").cut_from("x ab-7 ab-"), "x [key] ab-");
  EXPECT_EQ(Secret("secret-").cut_from("a secret-y"), "a [key]y");
  EXPECT_EQ(Secret("none").cut_from("There is none."), "There is none.");
  EXPECT_EQ(Secret("").cut_from("text"), "text");
}

TEST(Secret, AGrowingTextKeepsBackWhatMayBecomeTheKey) {
  const Secret secret(kKey);
  EXPECT_EQ(secret.num_settled("text?"), 5u);
  EXPECT_EQ(secret.num_settled("text s"), 5u);
  EXPECT_EQ(secret.num_settled("text c/12+EXA"), 5u);
  EXPECT_EQ(secret.num_settled("text sk-Abc/12+example_9"), 5u);
  EXPECT_EQ(secret.num_settled("text sk-Abd"), 11u);
  EXPECT_EQ(Secret("").num_settled("text s"), 6u);
}

}  // namespace
}  // namespace selfalign::generate
