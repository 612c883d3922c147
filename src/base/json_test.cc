#include "base/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace selfalign {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

std::string parse_error_of(const std::string& text) {
  try {
    parse_json(text, "a.json");
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    return error.what();
  }
  return "no error";
}

TEST(ParseJson, KeepsTheOrderOfMembers) {
  EXPECT_EQ(dump_json(parse_json(R"( {"b":1,"a":[true,null,"x"]} )", "t")),
            R"({"b":1,"a":[true,null,"x"]})");
  EXPECT_EQ(parse_json_sorted(R"({"b":1,"a":2})", "t").dump(),
            R"({"a":2,"b":1})");
}

TEST(ParseJson, NamesLineAndColumn) {
  EXPECT_THAT(parse_error_of("{\n \"a\": 1,\n \"b\": x}"),
              StartsWith("a.json:3:7: "));
  // A two-byte letter is one column.
  EXPECT_THAT(parse_error_of("{\"\u00e9\": x}"), StartsWith("a.json:1:7: "));
  EXPECT_THAT(parse_error_of(""), StartsWith("a.json:1:1: "));
  EXPECT_NE(parse_error_of("{} {}"), "no error");
  EXPECT_NE(parse_error_of("\"\xff\""), "no error");
  EXPECT_THAT(parse_error_of("[1, 1e999]"), HasSubstr("1e999"));
}

TEST(ParseJson, RefusesDeepNesting) {
  const auto nested = [](int depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  EXPECT_EQ(parse_error_of(nested(64)), "no error");
  EXPECT_THAT(parse_error_of(nested(65)), HasSubstr("64 levels"));
  EXPECT_THAT(parse_error_of(nested(1000000)), StartsWith("a.json:1:65: "));
  // Brackets inside strings are no nesting.
  EXPECT_EQ(parse_error_of("\"\\\"" + nested(100) + "\""), "no error");
}

TEST(JsonMembers, AreReadByType) {
  const Json object = parse_json(
      R"({"s":"x","i":-3,"n":2.5,"b":true,"null":null,"big":1e300})", "t");
  EXPECT_EQ(json_string(object, "s", "t"), "x");
  EXPECT_EQ(json_int(object, "i", "t"), -3);
  EXPECT_EQ(json_number(object, "n", "t"), 2.5);
  EXPECT_EQ(json_number(object, "i", "t"), -3);
  EXPECT_TRUE(json_bool(object, "b", "t"));
  EXPECT_EQ(json_string_or(object, "none", "t", "y"), "y");
  EXPECT_EQ(json_int_or(object, "null", "t", 4), 4);
  EXPECT_EQ(json_number_or(object, "n", "t", 9), 2.5);
  EXPECT_FALSE(json_bool_or(object, "none", "t", false));
}

TEST(JsonMembers, NameWhatIsWrong) {
  const Json object = parse_json(
      R"({"s":"x","n":2.5,"null":null,"u":18446744073709551615})", "t");
  const auto text_of = [&](auto read) -> std::string {
    try {
      read();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInput);
      return error.what();
    }
    return "no error";
  };
  EXPECT_EQ(text_of([&] { json_int(object, "s", "t"); }),
            "t: expected 's' to be a whole number, found \"x\"; correct this "
            "member");
  EXPECT_THAT(text_of([&] { json_int(object, "n", "t"); }), HasSubstr("2.5"));
  EXPECT_THAT(text_of([&] { json_int(object, "u", "t"); }),
              HasSubstr("18446744073709551615"));
  EXPECT_THAT(text_of([&] { json_string(object, "none", "t"); }),
              HasSubstr("found nothing"));
  EXPECT_THAT(text_of([&] { json_bool(object, "null", "t"); }),
              HasSubstr("null"));
  EXPECT_THAT(text_of([&] { json_bool_or(object, "s", "t", true); }),
              HasSubstr("true or false"));
  EXPECT_THAT(text_of([&] { json_int(Json::array(), "i", "t"); }),
              HasSubstr("array"));
}

TEST(DumpJson, ReplacesWhatIsNotUtf8) {
  EXPECT_EQ(dump_json(Json("a\xff\n")), "\"a\xef\xbf\xbd\\n\"");
}

}  // namespace
}  // namespace selfalign
