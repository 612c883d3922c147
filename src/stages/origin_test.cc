// SPDX-License-Identifier: Apache-2.0
#include "stages/origin.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "base/testing.h"
#include "store/store.h"

namespace selfalign::stages {
namespace {

using store::Row;

bool is_derived(const Row& row) { return row.stage != "tasks"; }

TEST(OriginOf, IsTheFirstRowThatIsNotDerived) {
  const ScratchFolder scratch;
  const auto store = store::Store::open(scratch.path() + "/run");
  store->add_rows({{1, "tasks", 0, {}, Json::object()},
                   {2, "tasks", 1, {1}, Json::object()},
                   {3, "answers", 0, {2, 1}, Json::object()},
                   {4, "pairs", 0, {3}, Json::object()},
                   {5, "pairs", 1, {}, Json::object()}});
  const auto origin = [&](uint64_t key) {
    return origin_of(*store, store->row(key).value(), is_derived).key;
  };
  EXPECT_EQ(origin(4), 2u);
  EXPECT_EQ(origin(2), 2u);
  EXPECT_EQ(origin(5), 5u);
}

// Whoever makes up a run can seal it, too.
TEST(OriginOf, RowsThatStandAboveThemselvesAreDamage) {
  const ScratchFolder scratch;
  const auto store = store::Store::open(scratch.path() + "/run");
  store->add_rows({{1, "pairs", 0, {1}, Json::object()},
                   {2, "pairs", 1, {3}, Json::object()},
                   {3, "answers", 0, {2}, Json::object()}});
  for (const uint64_t key : {1, 2, 3}) {
    EXPECT_EQ(kind_of([&] {
                origin_of(*store, store->row(key).value(), is_derived);
              }),
              ErrorKind::kDamaged)
        << key;
  }
}

}  // namespace
}  // namespace selfalign::stages
