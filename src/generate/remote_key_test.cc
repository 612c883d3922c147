// SPDX-License-Identifier: Apache-2.0
#include "generate/remote_key.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>

#include "base/file.h"
#include "base/testing.h"

namespace selfalign::generate {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class RemoteKeyTest : public ::testing::Test {
 protected:
  RemoteKeyTest() { clear(); }
  ~RemoteKeyTest() override { clear(); }

  static void clear() {
    ::unsetenv("SELFALIGN_REMOTE_KEY");
    ::unsetenv("SELFALIGN_API_KEY");
    set_key_over_http(false);
  }
  static void set_variable(const char* name, const std::string& value) {
    ::setenv(name, value.c_str(), 1);
  }
  static std::string key(const std::string& address,
                         const std::string& file = "") {
    return key_for(*origin_of(address), file);
  }
  static std::string error_of(const std::string& address,
                              const std::string& file = "") {
    return message_of([&] { key(address, file); });
  }
};

TEST_F(RemoteKeyTest, GoesToTheHostItIsForAndToNoOther) {
  set_variable("SELFALIGN_REMOTE_KEY",
               "api.example.com k-one, gpu1:8443 k-two\n[fd00::1]:90 k-three");
  EXPECT_EQ(key("https://api.example.com/v1"), "k-one");
  EXPECT_EQ(key("https://API.EXAMPLE.com:443/v1"), "k-one");
  EXPECT_EQ(key("https://gpu1:8443"), "k-two");
  EXPECT_EQ(key("https://[fd00::1]:90/v1"), "k-three");
  for (const char* other :
       {"https://api.example.com:8443/v1", "https://gpu1", "https://evil.com",
        "https://api.example.com.evil.com/v1", "https://example.com",
        "https://xapi.example.com", "http://127.0.0.1:8443/v1"}) {
    EXPECT_EQ(key(other), "") << other;
  }
}

TEST_F(RemoteKeyTest, ThatOfServeStaysOnThisMachine) {
  set_variable("SELFALIGN_API_KEY", "k-own");
  for (const char* own :
       {"http://localhost:8000/v1", "http://127.0.0.1/v1", "http://127.9.9.9:1",
        "http://[::1]:8000/v1", "https://LocalHost/v1"}) {
    EXPECT_EQ(key(own), "k-own") << own;
  }
  for (const char* other :
       {"https://api.example.com/v1", "http://localhost.example.com/v1",
        "http://127.example.com", "http://128.0.0.1", "http://[::2]",
        "http://0.0.0.0:8000"}) {
    EXPECT_EQ(key(other), "") << other;
  }
  EXPECT_THAT(key_advice(*origin_of("https://api.example.com:444/v1")),
              HasSubstr("SELFALIGN_REMOTE_KEY=\"api.example.com:444 KEY\""));
  EXPECT_THAT(key_advice(*origin_of("https://api.example.com/v1")),
              HasSubstr("SELFALIGN_API_KEY goes to servers on this machine"));
  set_variable("SELFALIGN_REMOTE_KEY", "localhost:8000 k-other");
  EXPECT_EQ(key("http://localhost:8000/v1"), "k-other");
}

TEST_F(RemoteKeyTest, GoesNowhereElseWithoutEncryptionUnlessAllowed) {
  set_variable("SELFALIGN_REMOTE_KEY", "gpu1:8000 k-secret");
  const std::string error = error_of("http://gpu1:8000/v1");
  EXPECT_THAT(error, HasSubstr("http://gpu1:8000: expected https"));
  EXPECT_THAT(error, HasSubstr("--key-over-http"));
  EXPECT_THAT(error, Not(HasSubstr("k-secret")));
  EXPECT_EQ(key("https://gpu1:8000/v1"), "k-secret");
  set_key_over_http(true);
  EXPECT_EQ(key("http://gpu1:8000/v1"), "k-secret");
}

TEST_F(RemoteKeyTest, AFileOfKeysIsItsOwnersAlone) {
  const std::string file = ::testing::TempDir() + "selfalign_keys";
  write_file_atomic(file, "api.example.com k-file\ngpu1 k-two\n");
  for (const mode_t mode : {0644U, 0640U, 0604U, 0620U, 0660U}) {
    ::chmod(file.c_str(), mode);
    const std::string error = error_of("https://api.example.com/v1", file);
    EXPECT_THAT(error, HasSubstr("chmod 600 " + file)) << mode;
    EXPECT_THAT(error, Not(HasSubstr("k-file")));
  }
  for (const mode_t mode : {0600U, 0400U}) {
    ::chmod(file.c_str(), mode);
    EXPECT_EQ(key("https://api.example.com/v1", file), "k-file");
    EXPECT_EQ(key("https://other.com/v1", file), "");
  }
  set_variable("SELFALIGN_REMOTE_KEY", "other.com k-variable");
  EXPECT_EQ(key("https://other.com/v1", file), "k-variable");
  std::filesystem::remove(file);
  EXPECT_EQ(kind_of([&] { key("https://other.com/v1", file); }),
            ErrorKind::kInput);
}

TEST_F(RemoteKeyTest, TextsOfAnotherFormAreRefusedWithoutShowingThem) {
  for (const char* text :
       {"sk-secret-alone", "a.com sk-secret b.com", "https://a.com sk-secret",
        "a.com/v1 sk-secret", "u:sk-secret@a.com sk-secret",
        "a.com sk-secr\xc3\xa9"}) {
    set_variable("SELFALIGN_REMOTE_KEY", text);
    const std::string error = error_of("https://a.com/v1");
    EXPECT_THAT(error,
                HasSubstr("SELFALIGN_REMOTE_KEY: expected the server and "
                          "its key"))
        << text;
    EXPECT_THAT(error, Not(HasSubstr("secr"))) << text;
  }
  clear();
  set_variable("SELFALIGN_API_KEY", "two\r\nHost: lines");
  EXPECT_THAT(error_of("http://localhost/v1"), HasSubstr("of one line"));
}

TEST(RemoteAddress, WhatHoldsAPasswordIsRefusedAndNotShown) {
  for (const char* bad :
       {"http://user:hidden@host/v1", "HTTPS://hidden@host", "http://",
        "http://a b", "http://a?key=hidden", "http://a\\@hidden",
        "ftp://user:hidden@host", "http://host:hidden/v1",
        "http://host:99999/v1", "http://a\x01", "http://\xe2\x80\xaehost"}) {
    EXPECT_TRUE(is_remote_model(bad)) << bad;
    const auto flaw = address_flaw(bad);
    ASSERT_TRUE(flaw) << bad;
    EXPECT_THAT(*flaw, Not(HasSubstr("hidden"))) << bad;
  }
  for (const char* good :
       {"http://localhost:8000/v1#a@b", "https://api.example.com/a/@b/v1#x y",
        "HTTP://host", "http://[::1]:80", "a/path", "", "C:/model"}) {
    EXPECT_FALSE(address_flaw(good)) << good;
  }
}

}  // namespace
}  // namespace selfalign::generate
