// SPDX-License-Identifier: Apache-2.0
#include "eval/item_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "base/testing.h"
#include "eval/evaluation.h"

namespace selfalign::eval {
namespace {

class ItemLogTest : public testing::Test {
 protected:
  const ScratchFolder scratch_;
  const std::string path_ = scratch_.path() + "/base/hhh.jsonl";
};

TEST_F(ItemLogTest, HoldsWhatWasAddedBefore) {
  {
    ItemLog log(path_);
    EXPECT_EQ(log.find(7), nullptr);
    log.add(7, Json{{"answer", "a\nb"}});
    log.add(0xfedcba9876543210u, Json{{"answer", "c"}});
    log.add(7, Json{{"answer", "d"}});
    log.sync();
  }
  const ItemLog log(path_);
  ASSERT_NE(log.find(7), nullptr);
  EXPECT_EQ((*log.find(7))["answer"], "d");
  ASSERT_NE(log.find(0xfedcba9876543210u), nullptr);
  EXPECT_EQ(log.find(8), nullptr);
}

TEST_F(ItemLogTest, AllItemsAreReadInOrderTheLastOfEachKey) {
  EXPECT_TRUE(read_items(path_).empty());
  {
    ItemLog log(path_);
    for (const int n : {9, 3, 5}) log.add(uint64_t(n), Json{{"n", n}});
    log.add(9, Json{{"n", 10}});
  }
  const std::vector<Json> items = read_items(path_);
  ASSERT_EQ(items.size(), 3u);
  EXPECT_EQ(items[0]["n"], 10);
  EXPECT_EQ(items[2]["n"], 5);
}

TEST_F(ItemLogTest, WhatIsNotItsOwnIsRefused) {
  const std::string folder = scratch_.path() + "/base";
  const std::string precious = scratch_.path() + "/precious";
  make_folder(folder);
  write_file_atomic(precious, "precious");
  const auto expect_refusal = [&] {
    const Error error = error_of([&] { ItemLog log(path_); });
    EXPECT_EQ(error.kind(), ErrorKind::kDamaged) << error.what();
    std::filesystem::remove(path_);
  };
  std::filesystem::create_symlink(precious, path_);
  expect_refusal();
  std::filesystem::create_symlink(scratch_.path() + "/new", path_);
  expect_refusal();
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  expect_refusal();
  std::filesystem::remove(folder);
  std::filesystem::create_directory_symlink(scratch_.path(), folder);
  expect_refusal();
  EXPECT_EQ(read_file(precious), "precious");
  EXPECT_FALSE(std::filesystem::exists(scratch_.path() + "/new"));
  EXPECT_FALSE(std::filesystem::exists(scratch_.path() + "/hhh.jsonl"));
}

TEST_F(ItemLogTest, ALineCutOffIsDroppedAndWrittenOver) {
  {
    ItemLog log(path_);
    log.add(1, Json{{"n", 1}});
    log.add(2, Json{{"n", 2}});
  }
  std::filesystem::resize_file(path_, std::filesystem::file_size(path_) - 3);
  {
    ItemLog log(path_);
    EXPECT_NE(log.find(1), nullptr);
    EXPECT_EQ(log.find(2), nullptr);
    log.add(3, Json{{"n", 3}});
  }
  const ItemLog log(path_);
  EXPECT_NE(log.find(1), nullptr);
  EXPECT_NE(log.find(3), nullptr);
}

TEST_F(ItemLogTest, ALineThatIsNoItemIsNamed) {
  using std::string_literals::operator""s;
  { ItemLog(path_).add(1, Json{{"n", 1}}); }
  const std::string good = read_file(path_);
  const std::string no_item =
      "no 'key' of 16 hex digits beside an object 'item'";
  for (const auto& [line, found] :
       std::vector<std::pair<std::string, std::string>>{
           {"{\"key\": 3}", no_item},
           {"[]", no_item},
           {R"({"key": "000000000000000G", "item": {}})", no_item},
           {R"({"key": "0000000000000001", "item": 2})", no_item},
           {"{\"key\"\0: 3}"s, "a NUL byte at column 7"}}) {
    write_file_atomic(path_, good + line + "\n");
    EXPECT_EQ(
        refusal_of([&] { const ItemLog log(path_); }, ErrorKind::kDamaged),
        path_ + ":2: expected an item with its key, found " + found +
            "; remove that line and go on");
  }
}

TEST(TaskResultTest, GoesThroughJson) {
  TaskResult result;
  result.task = "hhh";
  result.version = "1";
  result.metrics.push_back({.name = "macro",
                            .title = "Macro",
                            .value = 0.5,
                            .low = 0.4,
                            .high = 0.6,
                            .interval = "Wilson",
                            .num_items = 3,
                            .chance = 0.5,
                            .higher_is_better = true,
                            .note = "as released"});
  result.self_tests.push_back({"oracle", "100 %", "100 %", true});
  result.settings = Json{{"seed", 1}};
  const Json json = to_json(result);
  EXPECT_EQ(to_json(from_json<TaskResult>(json, "here")), json);
  Json bad = json;
  bad["metrics"][0].erase("value");
  EXPECT_THROW(from_json<TaskResult>(bad, "here"), Error);
}

}  // namespace
}  // namespace selfalign::eval
