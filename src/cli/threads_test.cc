// SPDX-License-Identifier: Apache-2.0
#include "cli/threads.h"

#include <gtest/gtest.h>

#include "base/file.h"

namespace selfalign::cli {
namespace {

TEST(ThreadsTest, HyperThreadsOfACoreCountOnce) {
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

TEST(ThreadsTest, QuotaOfAControlGroup) {
  EXPECT_EQ(quota_cores("200000 100000"), 2);
  EXPECT_EQ(quota_cores("150000 100000"), 2);
  EXPECT_EQ(quota_cores("10000 100000"), 1);
  EXPECT_EQ(quota_cores("max 100000"), 0);
  EXPECT_EQ(quota_cores("-1 100000"), 0);
  EXPECT_EQ(quota_cores(""), 0);
}

TEST(ThreadsTest, AtLeastOneCore) { EXPECT_GE(available_cores(), 1); }

}  // namespace
}  // namespace selfalign::cli
