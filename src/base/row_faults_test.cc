// SPDX-License-Identifier: Apache-2.0
#include "base/row_faults.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/testing.h"

namespace selfalign {
namespace {

using testing::HasSubstr;
using testing::Not;

void fail(const std::string& text) { throw Error(ErrorKind::kInput, text); }

TEST(RowFaultsTest, AreCountedAndSaidOnceWithTheFirstPlace) {
  testing::internal::CaptureStderr();
  int num_taken = 0;
  for (int reading = 0; reading < 2; ++reading) {
    RowFaults faults("q.jsonl");
    faults.take_row([&] { ++num_taken; });
    faults.take_row([] { fail("q.jsonl: line 2: expected turns"); });
    faults.add("q.jsonl: line 3: expected an id");
    faults.finish();
  }
  EXPECT_EQ(num_taken, 2);
  const std::string said = testing::internal::GetCapturedStderr();
  const std::string warning =
      "q.jsonl: 2 of 3 rows cannot be used and are left out; the first: "
      "q.jsonl: line 2: expected turns";
  EXPECT_THAT(said, HasSubstr(warning));
  EXPECT_THAT(said.substr(said.find(warning) + 1), Not(HasSubstr(warning)));
}

TEST(RowFaultsTest, WhereNoRowIsLeftTheFirstFaultIsAnError) {
  RowFaults faults("q.jsonl");
  faults.take_row([] { fail("line 1: no"); });
  EXPECT_EQ(refusal_of([&] { faults.finish(); }), "line 1: no");
  faults.add("line 2: no");
  EXPECT_EQ(message_of([&] { faults.finish(); }),
            "line 1: no; of 2 rows none can be used");
  RowFaults("q.jsonl").finish();  // no rows, no fault
}

TEST(RowFaultsTest, OtherErrorsAreNoFaultsOfARow) {
  RowFaults faults("q.jsonl");
  const auto interrupt = [] { throw Error(ErrorKind::kInterrupted, "stop"); };
  EXPECT_THROW(faults.take_row(interrupt), Error);
}

}  // namespace
}  // namespace selfalign
