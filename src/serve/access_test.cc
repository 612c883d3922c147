// SPDX-License-Identifier: Apache-2.0
#include "serve/access.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace selfalign::serve {
namespace {

TEST(AccessTest, OnlyLoopbackNamesAreLoopback) {
  for (const char* host :
       {"localhost", "LOCALHOST:80", "127.0.0.1", "127.0.0.1:8000", "[::1]",
        "[::1]:9", "127.1.2.3", "localhost:", "localhost:65535"}) {
    EXPECT_TRUE(names_loopback(host)) << host;
  }
  for (const char* host : {"",
                           "evil.example",
                           "localhost.evil.example",
                           "127.0.0.1.evil.example",
                           "127.evil.0.1",
                           "localhost:80x",
                           "10.0.0.1",
                           "[::2]",
                           "::1",
                           "[::1",
                           "localhost@evil",
                           "0.0.0.0",
                           "127.0.0.1 ",
                           "127.999.999.999",
                           "127.0.0.256",
                           "127.0.0",
                           "127.0.0.0.1",
                           "127..0.1",
                           "127.0.0.01",
                           "localhost:65536",
                           "localhost:99999999999999999999",
                           "127.0.0.1:-1",
                           "[::1]:65536"}) {
    EXPECT_FALSE(names_loopback(host)) << host;
  }
}

TEST(AccessTest, AKeyIsComparedWhole) {
  EXPECT_TRUE(has_bearer("Bearer secret-key", "secret-key"));
  EXPECT_TRUE(has_bearer("bearer secret-key", "secret-key"));
  for (const char* header :
       {"", "Bearer", "Bearer ", "secret-key", "Bearer secret-ke",
        "Bearer secret-keyy", "Bearer secret-keysecret-key",
        "Bearer Secret-key", "Basic secret-key", "Bearer  secret-key"}) {
    EXPECT_FALSE(has_bearer(header, "secret-key")) << header;
  }
}

TEST(AccessTest, OthersAreLetInOnlyWithAKey) {
  EXPECT_NO_THROW(check_exposure("127.0.0.1", ""));
  EXPECT_NO_THROW(check_exposure("::1", ""));
  EXPECT_NO_THROW(check_exposure("0.0.0.0", "0123456789abcdef"));
  for (const char* host : {"0.0.0.0", "::", "192.168.1.2", "example.org"}) {
    EXPECT_THROW(check_exposure(host, ""), Error) << host;
  }
  EXPECT_THROW(check_exposure("127.0.0.1", "short"), Error);
  EXPECT_THROW(check_exposure("127.0.0.1", "with space in it"), Error);
  EXPECT_THROW(check_exposure("127.0.0.1", "line\nbreak-long"), Error);
}

}  // namespace
}  // namespace selfalign::serve
