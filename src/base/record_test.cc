// SPDX-License-Identifier: Apache-2.0
#include "base/record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing.h"

namespace selfalign {
namespace {

using ::testing::StartsWith;

struct Loss {
  double before = 0.0;
  std::optional<double> after;
  static void describe(auto& visit, auto& self) {
    visit("before", self.before);
    visit.nullable("after", self.after);
  }
};

struct Opinion {
  std::string judge;
  int64_t mark = 0;
  static void describe(auto& visit, auto& self) {
    visit("judge", self.judge);
    visit("mark", self.mark);
  }
};

struct Figures {
  std::string name;
  int count = 0;
  bool done = false;
  std::optional<int64_t> left;
  std::optional<Opinion> opinion;
  std::vector<Loss> losses;
  Named<std::vector<std::string>> words;
  std::map<std::string, int64_t> reasons;
  std::vector<uint64_t> keys;
  Json settings;
  std::string note = "none";
  std::string unit;  // with `size`
  double size = 0.0;
  Named<double> others;
  static void describe(auto& visit, auto& self) {
    visit("name", self.name);
    visit("count", self.count);
    visit("done", self.done);
    visit("left", self.left);
    visit.inlined(self.opinion);
    visit("losses", self.losses);
    visit("words", self.words);
    visit("reasons", self.reasons);
    visit("keys", self.keys);
    visit("settings", self.settings);
    visit.may("note", self.note, self.note != "none");
    visit.together(!self.unit.empty(), [&self](auto& each) {
      each("size", self.size);
      each("unit", self.unit);
    });
    visit.rest(self.others);
  }
};

Figures figures() {
  Figures all;
  all.name = "x";
  all.count = 3;
  all.opinion = {"j", 7};
  all.losses = {{0.5, 0.25}, {2.0, std::nullopt}};
  all.words = {{"z", {"one"}}, {"a", {}}};
  all.reasons = {{"empty", 2}};
  all.keys = {10};
  all.settings = Json{{"seed", 1}};
  all.unit = "kg";
  all.size = 0.5;
  all.others = {{"late", 1.5}};
  return all;
}

constexpr char kText[] =
    R"({"name":"x","count":3,"done":false,"judge":"j","mark":7,)"
    R"("losses":[{"before":0.5,"after":0.25},{"before":2.0,"after":null}],)"
    R"("words":{"z":["one"],"a":[]},"reasons":{"empty":2},)"
    R"("keys":["000000000000000a"],"settings":{"seed":1},"size":0.5,)"
    R"("unit":"kg","late":1.5})";

std::string problem_of(const Json& json) {
  return error_of([&] { from_json<Figures>(json, "file"); }).what();
}

TEST(RecordTest, IsWrittenInItsOrderAndReadInAny) {
  EXPECT_EQ(dump_json(to_json(figures())), kText);
  EXPECT_EQ(dump_json(to_json(from_json<Figures>(parse_json(kText, "t"), "t"))),
            kText);
  Json turned = Json::object();
  const Json json = parse_json(kText, "t");
  for (auto one = json.rbegin(); one != json.rend(); ++one) {
    turned[one.key()] = one.value();
  }
  EXPECT_EQ(dump_json(to_json(from_json<Figures>(turned, "t"))), kText);
}

TEST(RecordTest, WhatIsMissingIsNamedWithItsPlace) {
  const Json json = to_json(figures());
  for (const char* name :
       {"name", "count", "done", "judge", "mark", "losses", "words", "reasons",
        "keys", "settings", "size", "unit"}) {
    Json less = json;
    less.erase(name);
    EXPECT_THAT(problem_of(less),
                StartsWith(std::string("file: expected '") + name + "' to be "))
        << name;
  }
  Json deep = json;
  deep["losses"][1].erase("after");
  EXPECT_EQ(problem_of(deep),
            "file: losses: 1: expected 'after' to be a number, found nothing; "
            "correct this member");
  // An optional record is there as a whole, or not at all.
  Json none = json;
  none.erase("judge");
  none.erase("mark");
  none.erase("size");
  none.erase("unit");
  const auto found = from_json<Figures>(none, "file");
  EXPECT_FALSE(found.opinion);
  EXPECT_EQ(to_json(found), none);
}

TEST(RecordTest, WhatIsOfAnotherTypeIsNamedWithItsPlace) {
  const auto with = [](const char* name, const Json& value) {
    Json json = to_json(figures());
    json[name] = value;
    return problem_of(json);
  };
  EXPECT_THAT(with("name", 1), StartsWith("file: expected 'name' to be a str"));
  EXPECT_THAT(with("count", int64_t{1} << 40),
              StartsWith("file: expected 'count' to be a smaller number"));
  EXPECT_THAT(with("words", {{"z", {1}}}),
              StartsWith("file: words: z: expected '0' to be a string"));
  EXPECT_THAT(with("losses", Json::object()),
              StartsWith("file: expected 'losses' to be a list"));
  EXPECT_THAT(with("reasons", {{"empty", 0.5}}),
              StartsWith("file: reasons: expected 'empty' to be a whole"));
  EXPECT_THAT(with("left", nullptr),
              StartsWith("file: expected 'left' to be a whole number"));
  EXPECT_EQ(error_of([] { from_json<Loss>(Json::array(), "file"); }).kind(),
            ErrorKind::kInput);
}

TEST(RecordTest, NamesAreFoundOrAdded) {
  Named<int64_t> counts;
  ++named(counts, "b");
  ++named(counts, "a");
  ++named(counts, "b");
  EXPECT_EQ(counts, (Named<int64_t>{{"b", 2}, {"a", 1}}));
  EXPECT_EQ(*find_named(counts, "a"), 1);
  EXPECT_EQ(find_named(counts, "c"), nullptr);
}

}  // namespace
}  // namespace selfalign
