// SPDX-License-Identifier: Apache-2.0
#include "base/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/json_parse.h"
#include "base/testing.h"

namespace selfalign {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

std::string parse_error_of(const std::string& text) {
  return refusal_of([&] { parse_json(text, "a.json"); });
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
}

// The text says it in our words, and where.
TEST(ParseJson, NamesTheNumberThatIsTooLarge) {
  EXPECT_EQ(parse_error_of("{\"1e999\": 1,\n \"n\": [-1e999]}"),
            "a.json:2:8: expected numbers within 1.8e308, found -1e999; "
            "correct or remove it");
  EXPECT_LT(parse_error_of("[\"" + std::string(100000, 'x') + "\" 1]").size(),
            300u);
}

TEST(ParseJson, ShowsLittleOfWhatIsWrong) {
  const std::string many(1000000, '1');
  const std::string number = parse_error_of("{\"a\": [7, " + many + "]}");
  EXPECT_THAT(number, StartsWith("a.json:1:11: expected numbers within"));
  const std::string follows(1000000, '\x80');
  for (const std::string& error :
       {number, parse_error_of(str(many, "e", many)),
        parse_error_of(str(many, "x")), parse_error_of(str("[", many, "x]")),
        parse_error_of(str("[1 \xc3\xa9", follows)),
        parse_error_of(str("{\"", many, "\":1,\"", many, "\":1}"))}) {
    EXPECT_LT(error.size(), 300u) << error.substr(0, 300);
  }
}

// Of two values one would be lost.
TEST(ParseJson, RefusesAMemberThatStandsTwice) {
  EXPECT_EQ(
      parse_error_of("{\"a\": {\"b\": \":\\\"\"},\n \"c\": [], \"a\": 2}"),
      "a.json:2:11: expected each member of an object once, found \"a\" "
      "again; remove one of the two");
  EXPECT_THAT(parse_error_of("[{\"a\":1},{\"b\":{\"\\u0061\":1,\"a\":1}}]"),
              StartsWith("a.json:1:27: "));
  EXPECT_EQ(parse_error_of("[{\"a\":{\"a\":1}},{\"a\":1}]"), "no error");
  EXPECT_THROW(parse_json_sorted("{\"a\":1,\"a\":1}", "a.json"), Error);
  EXPECT_THROW(parse_json_line("{\"a\":1,\"a\":1}", "line 1"), Error);
}

// The parser's own words are for nobody.
TEST(ParseJson, SaysInPlainWordsWhatItFound) {
  const std::pair<const char*, const char*> kCases[] = {
      {"{\"a\": \"caf\xe9\"}",
       "1:11: expected text in UTF-8, found the byte 0xe9 (perhaps Latin-1 or "
       "Windows-1252); save the file in UTF-8"},
      {"caf\xe9", "1:1: expected JSON, found \"caf\"; JSON has texts"},
      {"[1,\n NaN]", "2:2: expected JSON, found \"NaN\"; JSON has texts"},
      {"[-Infinity]", "1:2: expected JSON, found \"-Infinity\""},
      {"{a: 1}", "1:2: expected JSON, found \"a\""},
      {"[tru]", "1:2: expected JSON, found \"tru\""},
      {"{\"a\": 1,\n}", "2:1: expected JSON, found a comma before }"},
      {"[1, ]", "1:5: expected JSON, found a comma before ]"},
      {"{} {\"a\":1}", "1:4: expected JSON, found more behind its end"},
      {"{} tail", "1:4: expected JSON, found more behind its end"},
      {"['a']", "1:2: expected JSON, found a single quote"},
      {"[1] // note", "1:5: expected JSON, found more behind its end"},
      {"[/* note */]", "1:2: expected JSON, found a comment"},
      {"[\"a\nb\"]", "1:4: expected JSON, found a line break within a text"},
      {"[\"a\tb\"]", "found the control character U+0009 within a text"},
      {"[\"a\\qb\"]", "1:5: expected JSON, found \\q within a text"},
      {"[\"\\ud800 invalid string\"]", "found an escape \\u of no character"},
      {"[\"a", "1:4: expected JSON, found its end too soon; was it cut off?"},
      {"{\"a\" \u00e9}", "1:6: expected JSON, found \u00e9 out of place"},
      {"[1 2]", "1:4: expected JSON, found 2 out of place; is a comma"},
      {"[1}", "1:3: expected JSON, found } out of place"}};
  for (const auto& [text, words] : kCases) {
    EXPECT_THAT(parse_error_of(text), HasSubstr(words)) << text;
    for (const char* own : {"exception", "last read", "syntax", "literal"}) {
      EXPECT_THAT(parse_error_of(text), Not(HasSubstr(own))) << text;
    }
  }
}

// A parser of C strings would take the rest for nothing.
TEST(ParseJson, RefusesNulBytes) {
  using std::string_literals::operator""s;
  for (const std::string& text : {"{\"a\":1}\0{\"a\":2}"s, "[1]\0"s,
                                  "[1,\0 2]"s, "\"a\0b\""s, "\0"s, "7\n\0"s}) {
    EXPECT_THAT(parse_error_of(text), HasSubstr("found a NUL byte"));
    EXPECT_THROW(parse_json_sorted(text, "a.json"), Error);
    EXPECT_THROW(parse_json_line(text, "a.json: line 1"), Error);
    JsonProblem problem;
    EXPECT_EQ(try_parse_json(text, problem), std::nullopt);
  }
  EXPECT_THAT(parse_error_of("{\"a\":\n1}\0 x"s), StartsWith("a.json:2:3: "));
  EXPECT_EQ(parse_json("\"\\u0000\"", "t"), Json("\0"s));
}

TEST(ParseJson, OfALineNamesTheColumn) {
  EXPECT_THAT(message_of([&] { parse_json_line("[1, x]", "in line 3"); }),
              StartsWith("in line 3, column 5: expected JSON"));
  EXPECT_EQ(parse_json_line("[1]", "in line 3"), Json::array({1}));
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

// What a text can make of memory: `[0,0,...` has a value in two bytes.
TEST(ParseJson, RefusesMoreValuesThanAnyFileHas) {
  const auto list = [](size_t num_values) {
    std::string text = "[";
    for (size_t i = 1; i < num_values; ++i) text += "0,";
    text.back() = ']';
    return text;
  };
  EXPECT_EQ(parse_json_sorted(list(4), "t", 4).size(), 3u);
  EXPECT_THROW(parse_json_sorted(list(5), "t", 4), Error);
  EXPECT_EQ(parse_error_of(list(kMaxJsonValues)), "no error");
  EXPECT_EQ(parse_error_of(list(kMaxJsonValues + 1)),
            "a.json:1:8388607: expected at most 4194304 values, found more "
            "values; is "
            "this the right file?");
  // Commas inside strings part no values.
  EXPECT_EQ(
      parse_json_sorted("[\"" + std::string(100, ',') + "\"]", "t", 2).size(),
      1u);
}

// Each name was compared with all before it: minutes.
TEST(ParseJson, AnObjectOfManyMembersTakesLinearTime) {
  constexpr int kMembers = 300'000;
  std::string text;
  for (int i = 0; i < kMembers; ++i) {
    text += str(i == 0 ? "{" : ",", "\"", i, "\":", i);
  }
  text += "}";
  const Json object = parse_json(text, "t");
  EXPECT_EQ(object.size(), size_t{kMembers});
  EXPECT_EQ(std::prev(object.end()).key(), "299999");
  EXPECT_EQ(dump_json(object), text);
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
      R"({"s":"x","i":-3,"n":2.5,"null":null,"u":18446744073709551615})", "t");
  const auto text_of = [&](auto read) -> std::string {
    return refusal_of([&] { read(); });
  };
  EXPECT_EQ(text_of([&] { json_int(object, "s", "t"); }),
            "t: expected 's' to be a whole number, found \"x\"; correct this "
            "member");
  EXPECT_THAT(text_of([&] { json_int(object, "n", "t"); }), HasSubstr("2.5"));
  EXPECT_THAT(text_of([&] { json_int(object, "u", "t"); }),
              HasSubstr("18446744073709551615"));
  EXPECT_EQ(json_int_in(object, "i", "t", -3, 0), -3);
  EXPECT_EQ(text_of([&] { json_int_in(object, "i", "t", -2, 7); }),
            "t: expected 'i' to be from -2 to 7, found -3; correct this "
            "member");
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
