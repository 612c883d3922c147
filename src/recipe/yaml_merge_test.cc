// SPDX-License-Identifier: Apache-2.0
#include "recipe/yaml_merge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ctime>

#include "base/file.h"
#include "base/testing.h"
#include "recipe/yaml.h"

namespace selfalign::recipe {
namespace {

using testing::HasSubstr;

// As the stages read a file.
YAML::Node load(const std::string& text) {
  const ScratchFolder folder;
  const std::string path = folder.path() + "/r.yaml";
  write_file_atomic(path, text);
  return recipe::load_yaml(path);
}

std::string mistake_in(const std::string& text) {
  const Error error = error_of([&] { load(text); });
  EXPECT_EQ(error.kind(), ErrorKind::kUsage);
  return error.what();
}

TEST(YamlMerge, PutsTheKeysInPlaceOfTheMergeKey) {
  const YAML::Node file = load(
      "engrave: &base {rank: 4, epochs: 1}\n"
      "verbose: &more\n  <<: *base\n  epochs: 3\n"
      "tune: {<<: [*more, {epochs: 5, seed: 7}], rank: 8}\n"
      "list: [{<<: *base}]\n");
  const YAML::Node verbose = file["verbose"];
  EXPECT_EQ(verbose.size(), 2u);
  EXPECT_EQ(verbose["rank"].as<int>(), 4);
  EXPECT_EQ(verbose["epochs"].as<int>(), 3);
  const YAML::Node tune = file["tune"];
  EXPECT_EQ(tune.size(), 3u);
  EXPECT_EQ(tune["rank"].as<int>(), 8);
  EXPECT_EQ(tune["epochs"].as<int>(), 3);
  EXPECT_EQ(tune["seed"].as<int>(), 7);
  EXPECT_EQ(file["list"][0]["rank"].as<int>(), 4);
  EXPECT_EQ(file["engrave"].size(), 2u);
}

// A mistake in a merged value is named where it stands.
TEST(YamlMerge, KeepsThePlaces) {
  const YAML::Node file = load("a: &a\n  rank: x\nb: {<<: *a}\n");
  EXPECT_EQ(file["b"]["rank"].Mark().line, 1);
}

TEST(YamlMerge, NamesWhatCannotBeMerged) {
  EXPECT_THAT(mistake_in("a: {<<: 3}\n"),
              HasSubstr("r.yaml:1:9: <<: expected a mapping"));
  EXPECT_THAT(mistake_in("a: {<<: [{b: 1}, 3]}\n"),
              HasSubstr("r.yaml:1:18: <<: expected a mapping"));
  EXPECT_THAT(mistake_in("a:\n  <<: {b: 1}\n  <<: {c: 1}\n"),
              HasSubstr("r.yaml:3:7: <<: expected once"));
  std::string deep;
  for (int i = 0; i < 200; ++i) deep += "[";
  deep += "{<<: {a: 1}}";
  for (int i = 0; i < 200; ++i) deep += "]";
  EXPECT_THAT(mistake_in(deep), HasSubstr("levels of nesting"));
}

TEST(YamlMerge, AMappingThatMergesItselfIsAMistake) {
  EXPECT_THAT(mistake_in("&s {<<: *s, a: 1}"),
              HasSubstr("an alias of what it stands in"));
}

TEST(YamlMerge, ManyKeysAreMergedInLinearTime) {
  std::string text = "a: &a {";
  for (int i = 0; i < 12'000; ++i) text += str("k", i, ": 1, ");
  text += "}\nb: {<<: *a, ";
  for (int i = 0; i < 12'000; ++i) text += str("own", i, ": 1, ");
  const std::clock_t begin = std::clock();
  EXPECT_EQ(load(text + "}\n")["b"].size(), 24'000u);
  EXPECT_LT(std::clock() - begin, 5 * CLOCKS_PER_SEC);
}

}  // namespace
}  // namespace selfalign::recipe
