// SPDX-License-Identifier: Apache-2.0
#include "text/template.h"

#include <gmock/gmock.h>

#include "base/error.h"

namespace selfalign::text {
namespace {

std::string error_of(const std::string& text, const Values& values) {
  try {
    fill_template(text, values, "align.yaml");
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    return error.what();
  }
  return "";
}

TEST(Template, FillsAndNeverScansAValue) {
  EXPECT_EQ(fill_template("{a}-{b}{a}", {{"a", "{b}"}, {"b", "2"}}, "t"),
            "{b}-2{b}");
  EXPECT_EQ(fill_template("{{x}} {{{a}}}", {{"a", "1"}}, "t"), "{x} {1}");
  EXPECT_EQ(fill_template("", {}, "t"), "");
}

TEST(Template, NamesEveryMistake) {
  using testing::HasSubstr;
  EXPECT_THAT(error_of("\n{b}", {{"a", "1"}}),
              HasSubstr("align.yaml: expected {a}, found {b} in line 2"));
  EXPECT_THAT(error_of("x", {{"a", "1"}}), HasSubstr("expected a place {a}"));
  EXPECT_THAT(error_of("{a", {{"a", "1"}}), HasSubstr("single '{' in line 1"));
  EXPECT_THAT(error_of("a}", {}), HasSubstr("single '}'"));
  EXPECT_THAT(error_of("{a b}", {}), HasSubstr("single '{'"));
  EXPECT_THAT(error_of("{}", {}), HasSubstr("single '{'"));
}

}  // namespace
}  // namespace selfalign::text
