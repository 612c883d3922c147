// SPDX-License-Identifier: Apache-2.0
#include "base/processors.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "base/file.h"

namespace selfalign {
namespace {

TEST(ProcessorsTest, HyperThreadsOfACoreCountOnce) {
  const std::string root = testing::TempDir() + "/topology";
  const auto processor = [&root](int id, const char* package,
                                 const char* core) {
    const std::string folder = root + "/cpu" + std::to_string(id) + "/topology";
    make_folder(folder);
    write_file_atomic(folder + "/physical_package_id", package);
    write_file_atomic(folder + "/core_id", core);
  };
  processor(0, "0\n", "0\n");
  processor(1, "0\n", "1\n");
  processor(2, "0\n", "0\n");
  processor(3, "1\n", "0\n");
  EXPECT_EQ(count_cores({0, 1, 2, 3}, root), 3);
  EXPECT_EQ(count_cores({0, 2}, root), 1);
  EXPECT_EQ(count_cores({}, root), 0);
  // Nothing is known of 8 and 9: a core each.
  EXPECT_EQ(count_cores({0, 8, 9}, root), 3);
}

class NodesTest : public ::testing::Test {
 protected:
  NodesTest() { std::filesystem::remove_all(root_); }

  void node(int number, const std::string& list) const {
    const std::string folder = root_ + "/node" + std::to_string(number);
    make_folder(folder);
    write_file_atomic(folder + "/cpulist", list + "\n");
  }
  // Processors 0 to 7, of which 4 to 7 are the second ones of the cores.
  std::string cores() const {
    for (int id = 0; id < 8; ++id) {
      const std::string folder =
          root_ + "/cpu" + std::to_string(id) + "/topology";
      make_folder(folder);
      write_file_atomic(folder + "/physical_package_id", "0\n");
      write_file_atomic(folder + "/core_id", std::to_string(id % 4) + "\n");
    }
    return root_;
  }
  // "0: 0 4 1 5; 1: ..."
  std::string text(const std::vector<int>& allowed) const {
    std::string all;
    for (const auto& one : processor_nodes(root_, allowed, root_)) {
      all += (all.empty() ? "" : "; ") + std::to_string(one.number) + ":";
      for (const int id : one.processors) all += " " + std::to_string(id);
    }
    return all;
  }

  const std::string root_ = ::testing::TempDir() + "/nodes";
};

TEST_F(NodesTest, EachWithTheProcessorsThatMayBeUsed) {
  node(0, "0-1,4-5");
  node(10, "3,7");
  node(2, "2,6");
  node(3, "");  // memory alone
  make_folder(root_ + "/power");
  EXPECT_EQ(text({0, 1, 2, 3, 4, 5, 6, 7}), "0: 0 1 4 5; 2: 2 6; 10: 3 7");
  EXPECT_EQ(text({1, 3}), "0: 1; 10: 3");
}

TEST_F(NodesTest, ThoseOfACoreAreBesideEachOther) {
  cores();
  node(0, "0-1,4-5");
  node(1, "2-3,6-7");
  EXPECT_EQ(text({0, 1, 2, 3, 4, 5, 6, 7}), "0: 0 4 1 5; 1: 2 6 3 7");
}

TEST_F(NodesTest, OneOfAllWhereNoneIsTold) {
  EXPECT_EQ(text({3, 5}), "0: 3 5");
  node(0, "x-");
  EXPECT_EQ(text({3, 5}), "0: 3 5");
  EXPECT_FALSE(processor_nodes().at(0).processors.empty());
}

TEST(ProcessorsTest, QuotaOfAControlGroup) {
  EXPECT_EQ(quota_cores("200000 100000"), 2);
  EXPECT_EQ(quota_cores("150000 100000"), 2);
  EXPECT_EQ(quota_cores("10000 100000"), 1);
  EXPECT_EQ(quota_cores("max 100000"), 0);
  EXPECT_EQ(quota_cores("-1 100000"), 0);
  EXPECT_EQ(quota_cores(""), 0);
}

TEST(ProcessorsTest, AtLeastOneCore) { EXPECT_GE(available_cores(), 1); }

}  // namespace
}  // namespace selfalign
