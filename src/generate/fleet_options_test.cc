// SPDX-License-Identifier: Apache-2.0
#include "generate/fleet_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "base/testing.h"

namespace selfalign::generate {
namespace {

using ::testing::HasSubstr;

TEST(FleetAddresses, AreCheckedAndNamedOnce) {
  EXPECT_EQ(fleet_addresses({"http://a:1/v1", "http://a:1/v1", "http://b/v1"}),
            (std::vector<std::string>{"http://a:1/v1", "http://b/v1"}));
  EXPECT_EQ(fleet_addresses({"http://a:1/v1", "http://a:1/v1/",
                             "http://a:1/v1/#x", "http://a:1/v1#x"}),
            (std::vector<std::string>{"http://a:1/v1", "http://a:1/v1#x"}));
  const std::string list = ::testing::TempDir() + "/fleet_wrong.txt";
  write_file_atomic(list, "# ours\nhttp://a:1/v1\ngpu1:8000\n");
  EXPECT_EQ(message_of([&] { fleet_addresses({list}); }),
            list +
                ", line 3: expected http://host:port/v1#name, found another "
                "text; correct it");
  write_file_atomic(list, "# none yet\n");
  EXPECT_THAT(message_of([&] { fleet_addresses({list}); }),
              HasSubstr(list + ": expected addresses"));
  EXPECT_EQ(kind_of([] { fleet_addresses({"http://user:pw@a/v1"}); }),
            ErrorKind::kUsage);
  EXPECT_EQ(kind_of([] { fleet_addresses({"/nowhere/servers.txt"}); }),
            ErrorKind::kInput);
}

}  // namespace
}  // namespace selfalign::generate
