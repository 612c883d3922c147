// SPDX-License-Identifier: Apache-2.0
#include "base/json_rows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "base/error.h"
#include "base/testing.h"

namespace selfalign {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

// Of every value "where value", or its problem.
std::vector<std::string> rows_of(const std::string& text) {
  std::vector<std::string> rows;
  each_json_row(text, "f", [&rows](const JsonRow& row) {
    rows.push_back(row.value ? row.where + " " + dump_json(row.get())
                             : row.where + ": " + row.problem);
  });
  return rows;
}

std::string refusal(const std::string& text) {
  return refusal_of([&] { rows_of(text); });
}

TEST(JsonRows, ReadsLinesAndArrays) {
  EXPECT_THAT(
      rows_of("\xef\xbb\xbf{\"a\":1}\r\n\n  {\"a\":2}\r\n3"),
      ElementsAre("f: line 1 {\"a\":1}", "f: line 3 {\"a\":2}", "f: line 4 3"));
  EXPECT_THAT(rows_of("\xef\xbb\xbf \n[{\"a\":1},\n null]\n"),
              ElementsAre("f: row 1 {\"a\":1}", "f: row 2 null"));
  EXPECT_THAT(rows_of(" \r\n"), ElementsAre());
  EXPECT_THAT(rows_of("[]"), ElementsAre());
}

TEST(JsonRows, ReadsValuesOverSeveralLines) {
  EXPECT_THAT(
      rows_of("{\n  \"a\": [\n    {\"b\": \"}\\\"{\"},\n    {\"b\": 2}\n  ]\n}"
              "\n{\n  \"a\": 2\n}\n{\"a\":3}"),
      ElementsAre("f: line 1 {\"a\":[{\"b\":\"}\\\"{\"},{\"b\":2}]}",
                  "f: line 7 {\"a\":2}", "f: line 10 {\"a\":3}"));
  EXPECT_THAT(rows_of("{\"a\":1} {\"a\":2},\n{\"a\":3},\n"),
              ElementsAre("f: line 1 {\"a\":1}", "f: line 1 {\"a\":2}",
                          "f: line 2 {\"a\":3}"));
  EXPECT_THAT(rows_of("{\"a\":1}\r{\"a\":2}\r"),
              ElementsAre("f: line 1 {\"a\":1}", "f: line 1 {\"a\":2}"));
}

TEST(JsonRows, AValueThatCannotBeReadIsOneRow) {
  EXPECT_THAT(
      rows_of("{\"a\":1}\n{\"a\": \"cut off\n{\"a\":3}\nplain words\nmore\n"
              "{\"a\":4} tail\n{\n \"a\": x\n}\n{\"a\":5}"),
      ElementsAre("f: line 1 {\"a\":1}", StartsWith("f:2:"),
                  "f: line 3 {\"a\":3}", StartsWith("f:4:1: expected JSON"),
                  "f: line 6 {\"a\":4}", StartsWith("f:6:9: expected JSON"),
                  StartsWith("f:8:7: expected JSON"), "f: line 10 {\"a\":5}"));
  EXPECT_THAT(rows_of("{\"a\":1,\"b\":1e999}"),
              ElementsAre(HasSubstr("f:1:12: expected numbers within 1.8e308, "
                                    "found 1e999")));
}

// As some write them: the turns in the first column.
TEST(JsonRows, ObjectsInTheFirstColumnWithinAValueAreItsOwn) {
  EXPECT_THAT(
      rows_of("{\n\"m\": [\n{\"r\":\"u\"},\n{\"r\":\"a\"}\n]\n}\n"
              "{\n\"m\":\n{\"r\":3}\n}\n{\"a\":4}"),
      ElementsAre("f: line 1 {\"m\":[{\"r\":\"u\"},{\"r\":\"a\"}]}",
                  "f: line 7 {\"m\":{\"r\":3}}", "f: line 11 {\"a\":4}"));
  EXPECT_THAT(
      rows_of("{\n\"m\": [\n{\"r\":x},\n{\"r\":\"a\"}\n]\n}\n{\"a\":2}"),
      ElementsAre(StartsWith("f:3:6: expected JSON, found \"x\""),
                  "f: line 7 {\"a\":2}"));
  // Cut off within a list: the next row is a row.
  EXPECT_THAT(rows_of("{\"m\": [\n{\"r\":1}\n{\"a\":2}\n"),
              ElementsAre(StartsWith("f:1:8: "), "f: line 2 {\"r\":1}",
                          "f: line 3 {\"a\":2}"));
}

TEST(JsonRows, AnElementOfAnArrayThatCannotBeReadIsOneRow) {
  EXPECT_THAT(
      rows_of(
          "[{\"a\":1},\n {\"\u00e9\":1e999}, {\"a\": [x, \"],\"]},\n{\"a\":1,"
          "\"a\":2},\"caf\xe9\", 5 ]\n"),
      ElementsAre("f: row 1 {\"a\":1}",
                  StartsWith("f:2:7: expected numbers within 1.8e308"),
                  StartsWith("f:2:22: expected JSON, found \"x\""),
                  StartsWith("f:3:8: expected each member of an object once"),
                  StartsWith("f:3:19: expected text in UTF-8, found the byte "
                             "0xe9"),
                  "f: row 6 5"));
}

TEST(JsonRows, GetsAValueOrThrowsWhatIsWrong) {
  each_json_row("{", "f", [](const JsonRow& row) {
    EXPECT_THROW(row.get(), Error);
    EXPECT_EQ(row.where, "f:1:2");
  });
}

TEST(JsonRows, ANulByteOrABrokenArrayIsAnError) {
  using std::string_literals::operator""s;
  EXPECT_THAT(refusal("{\"a\":1}\n{\"a\":2}\0{\"a\":3}\n"s),
              StartsWith("f:2:8: expected JSON, found a NUL byte"));
  EXPECT_THAT(refusal("[{\"a\":1}]\0[{\"a\":2}]"s), StartsWith("f:1:10: "));
  EXPECT_THAT(refusal("[{\"a\":1},]"), StartsWith("f:1:10: "));
  EXPECT_THAT(refusal("[1]\n[2]"), StartsWith("f:2:1: "));
  EXPECT_THAT(refusal("[1,,2]"), StartsWith("f:1:4: "));
  EXPECT_THAT(refusal("[1,\n{\"a\":2"), StartsWith("f:2:7: "));
  EXPECT_THAT(refusal("[{\"a\":1]}"), StartsWith("f:1:8: "));
}

// Each line is the begin of a value that never ends.
TEST(JsonRows, ManyValuesWithoutAnEndTakeLinearTime) {
  std::string text;
  for (int i = 0; i < 50000; ++i) text += "{\"a\": [\n";
  EXPECT_EQ(rows_of(text).size(), 50000u);
}

}  // namespace
}  // namespace selfalign
