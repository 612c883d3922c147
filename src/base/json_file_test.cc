// SPDX-License-Identifier: Apache-2.0
#include "base/json_file.h"

#include <gtest/gtest.h>

#include "base/file.h"

namespace selfalign {
namespace {

TEST(WriteJsonFile, IndentsAndEndsTheLastLine) {
  const ScratchFolder folder;
  const std::string path = folder.path() + "/a.json";
  const Json value{{"b", {1, 2.5}}, {"a", "é"}};
  write_json_file(path, value);
  EXPECT_EQ(read_file(path),
            "{\n \"b\": [\n  1,\n  2.5\n ],\n \"a\": \"é\"\n}\n");
  write_json_file(path, Json{{"a", 1}}, 2);
  EXPECT_EQ(read_file(path), "{\n  \"a\": 1\n}\n");
}

TEST(WriteJsonFile, BytesThatAreNotUtf8AreReplaced) {
  const ScratchFolder folder;
  const std::string path = folder.path() + "/a.json";
  write_json_file(path, Json{{"name", "caf\xe9"}});
  EXPECT_EQ(parse_json(read_file(path), path)["name"], "caf\uFFFD");
}

}  // namespace
}  // namespace selfalign
