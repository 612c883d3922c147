// SPDX-License-Identifier: Apache-2.0
#include "recipe/yaml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <ctime>

#include "base/file.h"
#include "base/testing.h"

namespace selfalign::recipe {
namespace {

using testing::HasSubstr;

std::string mistake_in(const std::string& text) {
  const ScratchFolder folder;
  const std::string path = folder.path() + "/r.yaml";
  write_file_atomic(path, text);
  const Error error = error_of([&] {
    YamlMistakes mistakes(path);
    YamlMap map(load_yaml(path), "", mistakes);
    std::string name;
    map.get("name", name);
    map.done();
    mistakes.throw_if_any();
  });
  EXPECT_EQ(error.kind(), ErrorKind::kUsage);
  return error.what();
}

std::string repeated(const std::string& text, size_t count) {
  std::string all;
  for (size_t i = 0; i < count; ++i) all += text;
  return all;
}

int64_t peak_kb() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

TEST(Yaml, ManyValuesAreRefusedBeforeTheyAreBuilt) {
  const int64_t before = peak_kb();
  for (const char* item : {",", "x,", "{},", "[],", "? ,"}) {
    EXPECT_THAT(mistake_in("a: [" + repeated(item, 400'000) + "]"),
                HasSubstr("more than 100000 values"))
        << item;
  }
  EXPECT_THAT(mistake_in(repeated("- a\n", 400'000)),
              HasSubstr("more than 100000 values"));
  EXPECT_LT(peak_kb() - before, 100 * 1024);
}

// Ten lines that say ten of the line before are 10^10 values.
TEST(Yaml, AnAliasCountsAsWhatItStandsFor) {
  std::string text = "a0: &a0 [x, x]\n";
  for (int i = 1; i <= 10; ++i) {
    text += str("a", i, ": &a", i, " [", repeated(str("*a", i - 1, ", "), 10),
                "]\n");
  }
  EXPECT_THAT(mistake_in(text), HasSubstr("more than 100000 values"));
  EXPECT_THAT(mistake_in("a: &a [*a]\n"),
              HasSubstr("an alias of what it stands in"));
}

TEST(Yaml, TextCountsAsOftenAsItIsUsed) {
  const int64_t before = peak_kb();
  const std::string text = "a: &a " + std::string(1 << 20, 'x') + "\nb: [";
  EXPECT_THAT(mistake_in(text + repeated("*a, ", 3'000) + "]\n"),
              HasSubstr("r.yaml:2:125: this is no sound YAML: more than "
                        "33554432 bytes of text"));
  EXPECT_LT(peak_kb() - before, 100 * 1024);
}

// What is told of a file field by field has the keys around each value.
TEST(Yaml, AValueCountsWithTheKeysAroundIt) {
  const int64_t before = peak_kb();
  const std::string key(250, 'k');
  std::string text;
  for (int i = 0; i < 90; ++i) text += "{" + key + ": ";
  text += "&a {";
  for (int i = 0; i < 10'000; ++i) text += str("k", i, ": 1, ");
  text += "}";
  EXPECT_THAT(mistake_in(text + std::string(90, '}')),
              HasSubstr("bytes of text"));
  EXPECT_LT(peak_kb() - before, 100 * 1024);
  // The same by an alias.
  text = "a: &a {";
  for (int i = 0; i < 10'000; ++i) text += str("k", i, ": 1, ");
  text += "}\nb: ";
  for (int i = 0; i < 90; ++i) text += "{" + key + ": ";
  EXPECT_THAT(mistake_in(text + "*a" + std::string(90, '}')),
              HasSubstr("r.yaml:2:"));
}

TEST(Yaml, LongKeysAreRefused) {
  const std::string longest(256, 'k');
  EXPECT_THAT(mistake_in(longest + ": 1\n"), HasSubstr("unknown key"));
  EXPECT_THAT(mistake_in("a: 1\n" + longest + "k: 1\n"),
              HasSubstr("r.yaml:2:1: this is no sound YAML: a key of more than "
                        "256 bytes"));
  EXPECT_THAT(mistake_in("a: &a " + longest + "k\n*a : 1\n"),
              HasSubstr("r.yaml:2:1: this is no sound YAML: a key of more"));
}

TEST(Yaml, NestingByAliasesIsBounded) {
  std::string text;
  for (int i = 0; i < 3; ++i) {
    text += str("a", i, ": &a", i, " ", std::string(40, '['),
                i > 0 ? str("*a", i - 1) : "x", std::string(40, ']'), "\n");
  }
  EXPECT_THAT(mistake_in(text), HasSubstr("r.yaml:3:"));
  EXPECT_THAT(mistake_in(text), HasSubstr("more than 100 levels of nesting"));
}

TEST(Yaml, LongNamesAndValuesAreSaidInShort) {
  const std::string name(200, 'n');
  const std::string mistake = mistake_in(name + ": 1\nb: *" + name + "x\n");
  EXPECT_LT(mistake_in(name + ": 1\n").size(), 200u);
  EXPECT_LT(mistake.size(), 400u);
}

TEST(Yaml, ManyUnknownKeysAreSaidAtOnce) {
  const std::clock_t begin = std::clock();
  std::string text;
  for (int i = 0; i < 24'000; ++i) text += str("key", i, ": 1\n");
  const std::string mistake = mistake_in(text + repeated("name: x\n", 24'000));
  EXPECT_THAT(mistake, HasSubstr("r.yaml:1:1: key0: unknown key"));
  EXPECT_THAT(mistake, HasSubstr("and 47899 more"));
  EXPECT_EQ(std::count(mistake.begin(), mistake.end(), '\n'), 100);
  EXPECT_LT(std::clock() - begin, 5 * CLOCKS_PER_SEC);
}

}  // namespace
}  // namespace selfalign::recipe
