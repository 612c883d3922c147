// SPDX-License-Identifier: Apache-2.0
#include "base/free_memory.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace selfalign {
namespace {

TEST(FreeMemory, IsSomeOfWhatThereIs) {
  const auto bytes = free_memory();
  ASSERT_TRUE(bytes.has_value());
  EXPECT_GT(*bytes, uint64_t{1} << 20);
  EXPECT_LE(*bytes, uint64_t(::sysconf(_SC_PHYS_PAGES)) *
                        uint64_t(::sysconf(_SC_PAGESIZE)));
}

}  // namespace
}  // namespace selfalign
