// SPDX-License-Identifier: Apache-2.0
#include "store/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>

#include "base/file.h"
#include "base/testing.h"
#include "store/sqlite.h"
#include "store/testing.h"

namespace selfalign::store {
namespace {

using ::testing::HasSubstr;

class StoreTest : public ::testing::Test {
 protected:
  std::unique_ptr<Store> open() const { return Store::open(folder_); }
  std::unique_ptr<Reader> read() const { return Reader::open(folder_); }

  const ScratchFolder scratch_;
  const std::string folder_ = scratch_.path() + "/run";
};

Row row_of(uint64_t key, const std::string& stage, int64_t seq,
           std::vector<uint64_t> parents = {}) {
  return {key, stage, seq, std::move(parents), Json{{"text", str("t", key)}}};
}

StoredCompletion completion_of(uint64_t key, const std::string& text) {
  StoredCompletion stored;
  stored.completion.key = key;
  stored.completion.text = text;
  stored.completion.num_tokens = 3;
  stored.completion.num_prompt_tokens = 9;
  stored.completion.finish = generate::Finish::kLength;
  stored.completion.logprob = -1.25;
  stored.thought = "rules 1 (ethical)";
  stored.fingerprint = "f";
  stored.time_s = 12.5;
  return stored;
}

constexpr uint64_t kBigKey = 0xfedcba9876543210;  // negative as SQLite sees it

TEST_F(StoreTest, GivesBackWhatItWasGiven) {
  {
    auto store = open();
    store->add_rows({row_of(1, "a", 0), row_of(kBigKey, "b", 0, {1})});
    store->add_rows({row_of(3, "b", 1, {kBigKey, 1})});
    store->add_completion(completion_of(3, std::string("x\0y\xc3\xa9", 5)));
    store->set_verdicts({{3, "f.1", false, "short", "two words"}});
    store->set_verdicts({{3, "f.1", true, "", ""}, {1, "f.1", false, "r", ""}});
    store->set_meta("n", "1");
    store->set_meta("n", "2");
  }
  auto store = read();
  EXPECT_EQ(store->stages(), (std::vector<std::string>{"a", "b"}));
  const std::vector<Row> rows = store->rows("b");
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].key, kBigKey);
  EXPECT_EQ(rows[1].parents, (std::vector<uint64_t>{kBigKey, 1}));
  EXPECT_EQ(rows[1].content["text"], "t3");
  const StoredCompletion c = store->completion(3).value();
  EXPECT_EQ(c.completion.text, std::string("x\0y\xc3\xa9", 5));
  EXPECT_EQ(c.completion.finish, generate::Finish::kLength);
  EXPECT_EQ(c.completion.logprob, -1.25);
  EXPECT_EQ(c.thought, "rules 1 (ethical)");
  EXPECT_EQ(c.time_s, 12.5);
  ASSERT_EQ(store->pending("b").size(), 1u);
  EXPECT_EQ(store->pending("b")[0].key, kBigKey);
  EXPECT_EQ(store->num_rows("b"), 2);
  EXPECT_EQ(store->num_completions("b"), 1);
  ASSERT_EQ(store->children(1).size(), 2u);
  EXPECT_EQ(store->children(1)[0].key, kBigKey);
  EXPECT_EQ(store->kept("b", "f.1").at(0).key, 3u);
  EXPECT_EQ(store->rejections("a", "f.1").at(0),
            (std::pair<std::string, int64_t>("r", 1)));
  EXPECT_EQ(store->meta("n").value(), "2");
  EXPECT_FALSE(store->meta("m").has_value());
  EXPECT_FALSE(store->row(99).has_value());
  EXPECT_FALSE(store->completion(1).has_value());
}

TEST_F(StoreTest, DoingWorkAgainAddsNothing) {
  auto store = open();
  store->add_rows({row_of(1, "a", 0), row_of(2, "a", 1, {1})});
  store->add_rows({row_of(2, "a", 1, {1})});
  EXPECT_EQ(store->num_rows("a"), 2);
  store->add_completion(completion_of(1, "x"));
  store->add_completion(completion_of(1, "x"));
  const auto damaged = ErrorKind::kDamaged;
  EXPECT_EQ(kind_of([&] { store->add_rows({row_of(2, "a", 1)}); }), damaged);
  EXPECT_EQ(kind_of([&] { store->add_rows({row_of(7, "a", 1)}); }), damaged);
  EXPECT_EQ(kind_of([&] { store->add_completion(completion_of(1, "y")); }),
            damaged);
}

TEST_F(StoreTest, ATransactionIsAllOrNothing) {
  auto store = open();
  EXPECT_THROW(store->transaction([&] {
    store->add_rows({row_of(1, "a", 0)});
    throw std::runtime_error("stop");
  }),
               std::runtime_error);
  EXPECT_EQ(store->num_rows("a"), 0);
  int commits = 0;
  store->set_commit_hook([&] { ++commits; });
  store->transaction([&] {
    store->add_rows({row_of(1, "a", 0)});
    store->add_completion(completion_of(1, "x"));
  });
  store->set_meta("n", "1");
  EXPECT_EQ(commits, 2);
}

TEST_F(StoreTest, TheDigestSeesAllThatMatters) {
  auto store = open();
  store->add_rows({row_of(1, "a", 0), row_of(2, "a", 1), row_of(3, "a", 2)});
  const std::string empty = store->digest("a", "f", 2);
  store->add_completion(completion_of(3, "beyond the end"));
  EXPECT_EQ(store->digest("a", "f", 2), empty);
  store->add_completion(completion_of(1, "x"));
  const std::string completed = store->digest("a", "f", 2);
  EXPECT_NE(completed, empty);
  store->set_verdicts({{2, "f", false, "short", "detail"}});
  const std::string judged = store->digest("a", "f", 2);
  EXPECT_NE(judged, completed);
  EXPECT_EQ(store->digest("a", "g", 2).size(), judged.size());
  store->set_verdicts({{2, "f", false, "short", "other detail"}});
  EXPECT_EQ(store->digest("a", "f", 2), judged);
  store->set_verdicts({{2, "f", false, "long", ""}});
  EXPECT_NE(store->digest("a", "f", 2), judged);
  EXPECT_EQ(kind_of([&] { store->digest("a", "f", 4); }), ErrorKind::kDamaged);
}

TEST_F(StoreTest, ManifestsAreCommittedOnceInOrder) {
  auto store = open();
  const std::string before = store->run_digest();
  store->commit_manifest({"z", 3, 2, "d1", Json{{"loss", 0.5}}});
  store->commit_manifest({"a", 1, 1, "d2", Json::object()});
  store->commit_manifest({"z", 3, 2, "d1", Json::object()});
  EXPECT_NE(store->run_digest(), before);
  ASSERT_EQ(store->manifests().size(), 2u);
  EXPECT_EQ(store->manifests()[0].stage, "z");
  EXPECT_EQ(store->manifest("z")->report["loss"], 0.5);
  EXPECT_EQ(kind_of([&] {
              store->commit_manifest({"z", 3, 2, "d3", Json::object()});
            }),
            ErrorKind::kDamaged);
}

TEST_F(StoreTest, OneWriterAndAnyReaders) {
  auto writer = open();
  writer->add_rows({row_of(1, "a", 0)});
  writer->transaction([&] {
    writer->add_rows({row_of(2, "a", 1)});
    auto reader = read();  // sees what is committed
    EXPECT_EQ(reader->num_rows("a"), 1);
  });
  EXPECT_THAT(refusal_of([&] { open(); }, ErrorKind::kFailed),
              HasSubstr(str("process ", getpid())));
  writer.reset();
  EXPECT_EQ(open()->num_rows("a"), 2);
}

TEST_F(StoreTest, DecisionsStandBesideTheRows) {
  auto store = open();
  store->add_rows({row_of(1, "a", 0), row_of(2, "a", 1), row_of(3, "b", 0)});
  const std::string digest = store->digest("a", "f", 2);
  store->add_review({2, "ann", Decision::kEdit, "better", "was rude", 7.5});
  store->add_review({1, "ann", Decision::kKeep, "", "", 8.0});
  store->add_review({1, "bob", Decision::kDrop, "", "", 9.0});
  EXPECT_EQ(store->digest("a", "f", 2), digest);
  EXPECT_EQ(store->row(2)->content["text"], "t2");
  const std::vector<Review> all = store->reviews("a");
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].author, "bob");
  EXPECT_EQ(all[0].decision, Decision::kDrop);
  EXPECT_EQ(all[1].text, "better");
  EXPECT_EQ(store->review(2)->note, "was rude");
  EXPECT_EQ(store->review(2)->time_s, 7.5);
  EXPECT_FALSE(store->review(3).has_value());
}

TEST_F(StoreTest, AVersion1StoreIsReadAndWrittenOn) {
  open()->add_rows({row_of(1, "a", 0)});
  make_older(folder_, 1);
  {
    auto reader = read();
    EXPECT_EQ(reader->num_rows("a"), 1);
    EXPECT_TRUE(reader->reviews("a").empty());
    EXPECT_FALSE(reader->review(1).has_value());
  }
  open()->add_review({1, "ann", Decision::kDrop, "", "", 1.0});
  EXPECT_EQ(read()->reviews("a").size(), 1u);
}

TEST_F(StoreTest, ScanShowsCompletionsAndVerdictsUntilTold) {
  auto store = open();
  store->add_rows({row_of(1, "a", 0), row_of(2, "a", 1), row_of(3, "a", 2)});
  store->add_completion(completion_of(2, "x"));
  store->set_verdicts({{2, "f", false, "short", "d"}, {3, "g", true, "", ""}});
  std::vector<std::string> seen;
  store->scan("a", "f", [&](const SeenRow& row) {
    seen.push_back(str(row.row.seq, row.row.content["text"],
                       row.completion ? row.completion->completion.text : "-",
                       row.verdict ? row.verdict->reason : "-"));
    return seen.size() < 2;
  });
  EXPECT_EQ(seen, (std::vector<std::string>{"0\"t1\"--", "1\"t2\"xshort"}));
  EXPECT_EQ(store->filters("a"), (std::vector<std::string>{"f", "g"}));
}

TEST_F(StoreTest, TellsWhatCameIn) {
  auto store = open();
  store->add_rows({row_of(1, "a", 0), row_of(2, "a", 1), row_of(3, "b", 0)});
  for (const uint64_t key : {1, 2, 3}) {
    StoredCompletion stored = completion_of(key, "x");
    stored.time_s = 10.0 * double(key);
    store->add_completion(stored);
  }
  const Activity all = store->activity("a");
  EXPECT_EQ(all.num_completions, 2);
  EXPECT_EQ(all.num_tokens, 6);
  EXPECT_EQ(all.last_s, 20.0);
  EXPECT_EQ(store->activity("c").num_completions, 0);
  EXPECT_EQ(store->activity("c").last_s, 0.0);
}

TEST_F(StoreTest, TellsWhetherAWriterIsAtWork) {
  auto writer = open();
  EXPECT_EQ(Reader::writer_of(folder_), str("process ", getpid()));
  writer.reset();
  EXPECT_FALSE(Reader::writer_of(folder_).has_value());
  EXPECT_FALSE(Reader::writer_of(folder_ + "/none").has_value());
}

// A process that has the run open for writing until it is killed.
class Holder {
 public:
  explicit Holder(const std::string& folder) {
    int pipe_ends[2];
    SELFALIGN_CHECK(pipe(pipe_ends) == 0);
    child_ = fork();
    if (child_ == 0) {
      const auto store = Store::open(folder);
      store->add_rows({row_of(1, "a", 0)});
      if (write(pipe_ends[1], "x", 1) != 1) _exit(1);
      for (;;) pause();
    }
    char byte = 0;
    SELFALIGN_CHECK(read(pipe_ends[0], &byte, 1) == 1);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
  }
  ~Holder() { kill_now(); }
  void kill_now() {
    if (child_ <= 0) return;
    kill(child_, SIGKILL);
    waitpid(child_, nullptr, 0);
    child_ = 0;
  }
  pid_t pid() const { return child_; }

 private:
  pid_t child_ = 0;
};

TEST_F(StoreTest, TheLockNamesItsHolderAndIsFreeOnceThatIsKilled) {
  Holder holder(folder_);
  EXPECT_THAT(refusal_of([&] { open(); }, ErrorKind::kFailed),
              HasSubstr(str("process ", holder.pid())));
  EXPECT_EQ(read()->num_rows("a"), 1);
  EXPECT_EQ(Reader::writer_of(folder_), str("process ", holder.pid()));
  holder.kill_now();
  EXPECT_FALSE(Reader::writer_of(folder_).has_value());
  auto store = open();
  store->add_rows({row_of(2, "a", 1)});
  EXPECT_EQ(store->num_rows("a"), 2);
}

// SQLite waits up to 30 s for a lock: what blocked would be seen by the clock.
TEST_F(StoreTest, ALongReaderBlocksNoWriterAndSeesItsOwnState) {
  open()->add_rows({row_of(1, "a", 0)});
  const auto began = std::chrono::steady_clock::now();
  const auto reader = read();
  reader->snapshot([&] {
    EXPECT_EQ(reader->num_rows("a"), 1);
    for (int64_t round = 0; round < 3; ++round) {
      const auto writer = open();  // closes with a checkpoint
      for (int64_t i = 0; i < 400; ++i) {
        const int64_t seq = 1 + round * 400 + i;
        writer->add_rows({{uint64_t(seq + 1),
                           "a",
                           seq,
                           {},
                           Json{{"text", std::string(4000, 'x')}}}});
      }
      writer->commit_manifest(
          {str("a", round), 1, 1, "digest", Json::object()});
    }
    EXPECT_EQ(reader->num_rows("a"), 1);
  });
  EXPECT_EQ(reader->num_rows("a"), 1201);
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(20));
}

TEST_F(StoreTest, AKilledWriterLeavesItsCommitsAndNoLock) {
  const pid_t child = fork();
  if (child == 0) {
    auto store = open();
    store->add_rows({row_of(1, "a", 0)});
    store->transaction([&] {
      store->add_rows({row_of(2, "a", 1)});
      std::raise(SIGKILL);
    });
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(read()->num_rows("a"), 1);
  EXPECT_EQ(open()->num_rows("a"), 1);
}

}  // namespace
}  // namespace selfalign::store
