// SPDX-License-Identifier: Apache-2.0
#include "base/profile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/testing.h"

namespace selfalign {
namespace {

using ::testing::HasSubstr;

void pass(int milliseconds) {
  std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
}

class ProfileTest : public ::testing::Test {
 protected:
  // The slices that `work` left, by name; each name once.
  std::map<std::string, Json> slices(const std::function<void()>& work) {
    {
      const Profile profile(path_);
      EXPECT_TRUE(is_profiled());
      work();
    }
    EXPECT_FALSE(is_profiled());
    std::map<std::string, Json> all;
    const Json events = parse_json(read_file(path_), path_);
    for (const Json& event : events) {
      if (event.at("ph") != "X") continue;
      EXPECT_TRUE(all.emplace(event.at("name"), event).second) << event;
    }
    return all;
  }
  static double length(const Json& slice) { return slice.at("dur"); }
  static double end(const Json& slice) {
    return slice.at("ts").get<double>() + length(slice);
  }

  const std::string path_ = ::testing::TempDir() + "/profile.json";
};

TEST_F(ProfileTest, NothingIsMeasuredWithoutOne) {
  const Profile none("");
  EXPECT_FALSE(is_profiled());
  ProfileStep step("step");
  step.note("rows", 3);
  const ProfilePart part("part");
  profile_split(std::chrono::seconds(1), "a", 1, "b", 1);
}

TEST_F(ProfileTest, AStepHoldsItsPartsSideBySide) {
  const auto all = slices([] {
    ProfileStep step("step");
    step.note("rows", 3);
    for (int i = 0; i < 2; ++i) {
      const ProfilePart outer("outer");
      pass(5);
      const ProfilePart inner("inner");
      pass(10);
    }
    profile_split(std::chrono::milliseconds(8), "a", 3, "b", 1);
    profile_split(std::chrono::milliseconds(8), "none", 0, "c", 1);
    pass(20);
  });
  const Json& step = all.at("step");
  EXPECT_EQ(step.at("args").at("rows"), 3);
  EXPECT_GE(length(step), 50e3);
  // What is within does not count to what is around it.
  EXPECT_GE(length(all.at("outer")), 10e3);
  EXPECT_GE(length(all.at("inner")), 20e3);
  EXPECT_LE(length(all.at("outer")) + length(all.at("inner")),
            length(step) - 20e3);
  EXPECT_DOUBLE_EQ(length(all.at("a")), 6e3);
  EXPECT_DOUBLE_EQ(length(all.at("b")), 2e3);
  EXPECT_DOUBLE_EQ(length(all.at("c")), 8e3);
  EXPECT_FALSE(all.contains("none"));
  double at = step.at("ts");
  for (const char* name : {"inner", "outer", "a", "b", "c"}) {
    EXPECT_NEAR(all.at(name).at("ts"), at, 0.01) << name;
    at = end(all.at(name));
  }
  EXPECT_LE(at, end(step));
}

// As where a callback of one step does another.
TEST_F(ProfileTest, AStepWithinAPartHasPartsOfItsOwn) {
  const auto all = slices([] {
    const ProfileStep step("step");
    const ProfilePart caller("caller");
    pass(5);
    {
      const ProfileStep score("score");
      const ProfilePart products("products");
      pass(20);
    }
    const ProfilePart more("more");
    pass(5);
  });
  EXPECT_GE(length(all.at("products")), 20e3);
  EXPECT_LE(length(all.at("products")), length(all.at("score")));
  EXPECT_GE(length(all.at("more")), 5e3);
  EXPECT_LE(length(all.at("caller")),
            length(all.at("step")) - length(all.at("products")) - 5e3);
}

TEST_F(ProfileTest, EachThreadHasItsOwn) {
  const auto all = slices([] {
    const ProfileStep step("one");
    std::thread([] {
      const ProfilePart nobodys("nobody's");
      const ProfileSlice slice("other");
    }).join();
  });
  EXPECT_NE(all.at("one").at("tid"), all.at("other").at("tid"));
  EXPECT_EQ(all.at("one").at("pid"), all.at("other").at("pid"));
  EXPECT_FALSE(all.contains("nobody's"));
}

TEST_F(ProfileTest, AWindowIsCutByTime) {
  {
    const Profile profile(path_);
    ProfileWindow window("turns");
    for (int i = 0; i < 15; ++i) {
      window.turn();
      const ProfilePart part("waiting");
      pass(20);
    }
  }
  int num = 0;
  for (const Json& event : parse_json(read_file(path_), path_)) {
    num += event.at("name") == "turns" ? 1 : 0;
  }
  EXPECT_GE(num, 2);
  EXPECT_LE(num, 4);
}

TEST_F(ProfileTest, WhatCannotBeWrittenIsSaid) {
  EXPECT_EQ(refusal_of([] { const Profile profile("/no/such/folder/p"); }),
            "cannot write the profile to /no/such/folder/p: No such file or "
            "directory; name another file");
  ::testing::internal::CaptureStderr();
  {
    const Profile profile("/dev/full");
    for (int i = 0; i < 2000; ++i) const ProfileSlice slice("slice");
    EXPECT_FALSE(is_profiled());
  }
  const std::string said = ::testing::internal::GetCapturedStderr();
  EXPECT_THAT(said, HasSubstr("cannot write to /dev/full: No space left on "
                              "device; the profile ends here"));
  EXPECT_EQ(said.find("cannot write"), said.rfind("cannot write"));
}

}  // namespace
}  // namespace selfalign
