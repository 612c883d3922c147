// SPDX-License-Identifier: Apache-2.0
#include "local/local_engines.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/testing.h"

namespace selfalign::local {
namespace {

using ::testing::HasSubstr;

const std::vector<ProcessorNode> kNodes = {{0, {0, 1}}, {1, {2, 3}}};
constexpr uint64_t kMiB = 1 << 20;

EngineRoom room() {
  return {.path = "m",
          .num_slots = 64,
          .num_threads = 4,
          .weights = [] { return 100 * kMiB; },
          .available = 200 * kMiB};
}

TEST(LocalEngines, OneForEachNode) {
  const auto places = cpu_places(kNodes, 0, room());
  ASSERT_EQ(places.size(), 2);
  EXPECT_EQ(places[1].node, 1);
  EXPECT_EQ(places[1].processors, (std::vector<int>{2, 3}));
  EXPECT_EQ(places[1].num_threads, 2);
}

// It is bound to nothing then, and has all threads.
TEST(LocalEngines, OrOneOfAll) {
  const auto expect_one = [](const std::vector<engine::EnginePlace>& places) {
    ASSERT_EQ(places.size(), 1);
    EXPECT_TRUE(places[0].processors.empty());
    EXPECT_EQ(places[0].num_threads, 4);
  };
  expect_one(cpu_places({kNodes[0]}, 0, room()));
  expect_one(cpu_places(kNodes, 1, room()));
  EngineRoom chat = room();
  chat.num_slots = 1;
  expect_one(cpu_places(kNodes, 0, chat));
  EngineRoom full = room();
  full.available = 200 * kMiB - 1;
  expect_one(cpu_places(kNodes, 0, full));
  full.available.reset();
  EXPECT_EQ(cpu_places(kNodes, 0, full).size(), 2);
}

TEST(LocalEngines, AsManyAsAreAskedForWhereMemorySuffices) {
  EXPECT_EQ(cpu_places(kNodes, 4, room()).size(), 4);
  EXPECT_EQ(cpu_places({kNodes[0]}, 2, room()).size(), 2);
  EngineRoom full = room();
  full.available = 199 * kMiB;
  EXPECT_EQ(cpu_places({kNodes[0]}, 2, full).size(), 2);  // one copy
  EXPECT_EQ(kind_of([&] { cpu_places(kNodes, 2, full); }),
            ErrorKind::kResources);
  EXPECT_THAT(message_of([&] { cpu_places(kNodes, 2, full); }),
              HasSubstr("m: expected 200 MiB of free memory for the weights on "
                        "2 NUMA nodes, found 199; use fewer engines"));
}

TEST(LocalEngines, OneForEachDevice) {
  EXPECT_EQ(device_places(8, 0, room()).size(), 8);
  EXPECT_EQ(device_places(8, 3, room()).size(), 3);
  EXPECT_EQ(device_places(1, 0, room())[0].num_threads, 4);
  EngineRoom chat = room();
  chat.num_slots = 1;
  EXPECT_EQ(device_places(8, 0, chat).size(), 1);
  EXPECT_EQ(message_of([] { device_places(2, 3, room()); }),
            "--engines 3: expected at most 2, one for each GPU that can be "
            "used");
}

}  // namespace
}  // namespace selfalign::local
