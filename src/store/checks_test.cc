// SPDX-License-Identifier: Apache-2.0
// Damage that is seen without knowing what stages mean.
#include "store/checks.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/file.h"
#include "store/store.h"
#include "store/testing.h"

namespace selfalign::store {
namespace {

class VerifyTest : public ::testing::Test {
 protected:
  VerifyTest() {
    auto store = Store::open(folder_);
    for (uint64_t key = 1; key <= 30; ++key) {
      const auto seq = static_cast<int64_t>(key) - 1;
      store->add_rows({{key, "a", seq, {}, Json{{"text", key}}},
                       {key + 100, "b", seq, {key}, Json::object()}});
      StoredCompletion stored;
      stored.completion.key = key + 100;
      store->add_completion(stored);
      store->set_verdicts({{key, "f.1", key % 3 != 0, "third", ""}});
    }
  }
  std::vector<Problem> problems() const {
    return find_problems(*Reader::open(folder_));
  }

  const ScratchFolder scratch_;
  const std::string folder_ = scratch_.path() + "/run";
};

TEST_F(VerifyTest, ASoundStoreHasNoProblems) {
  for (const Problem& problem : problems()) {
    ADD_FAILURE() << problem.where << ": expected " << problem.expected
                  << ", found " << problem.found;
  }
}

TEST_F(VerifyTest, EachKindOfDamageIsSeenAndPlaced) {
  struct Damage {
    const char* sql;
    const char* where;
    const char* found;
  };
  for (const Damage& damage : std::initializer_list<Damage>{
           {"UPDATE rows SET seq = 99 WHERE key = 7", "a",
            "30 rows numbered 0 to 99"},
           {"UPDATE parents SET parent = 255 WHERE key = 104", "b:3",
            "none with key 00000000000000ff"},
           {"UPDATE parents SET position = 1 WHERE key = 105", "b:4", "gaps"},
           {"DELETE FROM rows WHERE key = 130", "",
            "whose entry in rows is gone"},
           {"UPDATE rows SET content = '{' WHERE key = 9", "a:8", "content"},
           {"UPDATE completions SET finish = 'tired' WHERE key = 102", "b:1",
            "tired"},
           {"UPDATE verdicts SET kept = 7 WHERE key = 2", "a:1", "f.1"}}) {
    std::filesystem::remove_all(folder_ + ".sound");
    std::filesystem::copy(folder_, folder_ + ".sound");
    edit_store(folder_, damage.sql);
    bool seen = false;
    for (const Problem& problem : problems()) {
      seen |= problem.where.ends_with(damage.where) &&
              problem.found.find(damage.found) != std::string::npos;
    }
    EXPECT_TRUE(seen) << damage.sql;
    std::filesystem::remove_all(folder_);
    std::filesystem::rename(folder_ + ".sound", folder_);
    ASSERT_TRUE(problems().empty());
  }
}

TEST_F(VerifyTest, ManyOfAKindAreCounted) {
  edit_store(folder_, "UPDATE verdicts SET kept = 7");
  const std::vector<Problem> all = problems();
  ASSERT_EQ(all.size(), 22u);  // the table's seal is the first
  EXPECT_EQ(all.back().found, "10 more that are not");
}

TEST_F(VerifyTest, RowsAreCounted) {
  const auto store = Reader::open(folder_);
  const Account judged = store->account("a", "f.1", 10);
  EXPECT_EQ(judged.num_rows, 10);
  EXPECT_EQ(judged.num_kept, 7);
  EXPECT_EQ(judged.rejected.at(0),
            (std::pair<std::string, int64_t>{"third", 3}));
  EXPECT_EQ(judged.num_pending, 0);
  EXPECT_EQ(store->account("a", "other", 10).num_pending, 10);
  EXPECT_EQ(store->main_filter("a"), "f.1");
  EXPECT_EQ(store->main_filter("b"), "");
  EXPECT_EQ(heirs_of_nothing(*store, "a", "f.1", 28).size(), 11u);
  edit_store(folder_, "DELETE FROM completions WHERE key > 120");
  const Account requests = store->account("b", "", 30);
  EXPECT_EQ(requests.num_completed, 20);
  EXPECT_EQ(requests.num_pending, 10);
}

TEST_F(VerifyTest, ASnapshotStaysWhileAWriterGoesOn) {
  const auto reader = Reader::open(folder_);
  const auto writer = Store::open(folder_);
  reader->snapshot([&] {
    EXPECT_EQ(reader->num_rows("a"), 30);
    writer->add_rows({{500, "a", 30, {}, Json::object()}});
    writer->commit_manifest({"a", 31, 31, "d", Json::object()});
    EXPECT_EQ(reader->num_rows("a"), 30);
    EXPECT_FALSE(reader->manifest("a").has_value());
  });
  EXPECT_EQ(reader->num_rows("a"), 31);
}

}  // namespace
}  // namespace selfalign::store
