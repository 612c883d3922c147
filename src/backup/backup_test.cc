// SPDX-License-Identifier: Apache-2.0
#include "backup/backup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <functional>
#include <thread>
#include <utility>

#include "backup/restore.h"
#include "backup/testing.h"
#include "base/folder.h"
#include "base/testing.h"
#include "store/checks.h"
#include "store/testing.h"

namespace selfalign::backup {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class BackupTest : public BackupFolder {
 protected:
  // Restores and compares; the folder.
  std::string restored() const {
    static int number = 0;
    std::string run = path("restored" + std::to_string(++number));
    restore(path("backup"), run);
    EXPECT_FALSE(fs::exists(run + "/run.db-wal"));
    const auto was = store::Reader::open(path("run"));
    const auto is = store::Reader::open(run);
    EXPECT_THAT(store::find_problems(*is), IsEmpty());
    EXPECT_EQ(was->num_rows("a"), is->num_rows("a"));
    EXPECT_EQ(was->files(), is->files());
    return run;
  }
  void settle(const std::string& name) const {
    const auto before =
        fs::file_time_type::clock::now() - std::chrono::seconds(60);
    fs::last_write_time(path(name), before);
  }
  void settle_all() const {
    for (const char* name :
         {"run/recipe.resolved.yaml", "run/engraved/adapter/weights",
          "run/engraved/checkpoint.json", "run/report.html"}) {
      settle(name);
    }
  }
};

TEST_F(BackupTest, IsOfTheRunAsItIsWhileItsWriterGoesOn) {
  const auto store = make_run();  // stays open, with all of it in the log
  write("run/run.lock.tmp-1-2", "x");
  write("run/engraved/handoff/lock", "");
  write("run/serve.lock", "");
  write("run/engraved/handoff/train.sh", "#!/bin/sh\n");
  fs::permissions(path("run/engraved/handoff/train.sh"), fs::perms(0700));
  const BackupReport report = back_up_run();
  EXPECT_EQ(report.num_files, 5);
  EXPECT_EQ(report.num_files_written, 5);
  EXPECT_EQ(report.num_blocks, report.num_blocks_written);
  EXPECT_FALSE(report.done);
  EXPECT_THAT(report.left_out, IsEmpty());
  add_rows(*store, 20, 25);
  back_up_run();
  const std::string run = restored();
  EXPECT_EQ(read_file(run + "/report.html"), "a report");
  EXPECT_EQ(read_file(run + "/engraved/checkpoint.json"), "{}");
  EXPECT_EQ(access((run + "/engraved/handoff/train.sh").c_str(), X_OK), 0);
  EXPECT_FALSE(fs::exists(run + "/engraved/handoff/lock"));
  EXPECT_FALSE(fs::exists(run + "/serve.lock"));
  EXPECT_FALSE(fs::exists(run + "/run.lock.tmp-1-2"));
  // The owner's alone, like the run and the backup.
  for (const std::string& folder :
       {run, run + "/engraved", path("backup"), path("backup/files")}) {
    EXPECT_EQ(fs::status(folder).permissions(), fs::perms(0700)) << folder;
  }
  EXPECT_EQ(fs::status(run + "/run.db").permissions(), fs::perms(0600));
}

// What a failing disk made of a content is found by the next backup, not by who
// needs it.
TEST_F(BackupTest, AContentThatIsNotWhatItWasIsKeptAnew) {
  const auto store = make_run();
  settle_all();
  back_up_run();
  const std::string content = list_folder(path("backup/files")).at(0);
  const std::string right = read_file(content);
  std::string wrong = right;
  wrong[0] = static_cast<char>(wrong[0] ^ 1);
  write_file_atomic(content, wrong);
  EXPECT_EQ(kind_of([&] { restore(path("backup"), path("no")); }),
            ErrorKind::kDamaged);
  EXPECT_EQ(back_up_run().num_files_written, 1);
  EXPECT_EQ(read_file(content), right);
  restored();
}

TEST_F(BackupTest, CopiesOfAKilledOneAreRemoved) {
  const auto store = make_run();
  back_up_run();
  make_folder(path("backup/selfalign-abc123"));
  write("backup/selfalign-abc123/run.db", "half of it");
  back_up_run();
  EXPECT_FALSE(fs::exists(path("backup/selfalign-abc123")));
  // A person's are not.
  make_folder(path("backup/selfalign-notes"));
  write("backup/selfalign-notes/letter", "dear all");
  EXPECT_EQ(kind_of([&] { back_up_run(); }), ErrorKind::kUsage);
  EXPECT_TRUE(is_file(path("backup/selfalign-notes/letter")));
}

TEST_F(BackupTest, WritesOnlyWhatChanged) {
  const auto store = make_run(2000);
  settle_all();
  const BackupReport first = back_up_run();
  EXPECT_GT(first.num_blocks, 150);
  const BackupReport none = back_up_run();
  EXPECT_EQ(none.num_files_written, 0);
  EXPECT_EQ(none.num_blocks_written, 0);
  EXPECT_LT(none.num_bytes_written, 2000);  // backup.json
  add_rows(*store, 2000, 2010);
  write("run/engraved/checkpoint.json", "{1}");
  const BackupReport some = back_up_run();
  EXPECT_EQ(some.num_files_written, 1);
  EXPECT_GT(some.num_blocks_written, 2);
  EXPECT_LT(some.num_blocks_written, 60);
  EXPECT_LT(some.num_bytes_written, first.num_bytes_written / 3);
  EXPECT_EQ(some.num_files, 4);
  // Of the content that nothing names any more nothing is left.
  EXPECT_EQ(list_folder(path("backup/files")).size(), 4u);
  EXPECT_EQ(list_folder(path("backup")).size(), 4u);
  restored();
}

// A change that has neither another size nor another time is seen while the
// file is young enough for that to happen.
TEST_F(BackupTest, AChangeWithinATickOfTheClockIsSeen) {
  make_run();
  struct stat info {};
  ASSERT_EQ(stat(path("run/engraved/checkpoint.json").c_str(), &info), 0);
  back_up_run();
  write("run/engraved/checkpoint.json", "[]");
  const timespec times[] = {info.st_mtim, info.st_mtim};
  ASSERT_EQ(
      utimensat(0, path("run/engraved/checkpoint.json").c_str(), times, 0), 0);
  EXPECT_EQ(back_up_run().num_files_written, 1);
  EXPECT_EQ(read_file(restored() + "/engraved/checkpoint.json"), "[]");
}

TEST_F(BackupTest, ASignedRunStaysSigned) {
  {
    const auto store = make_run();
    write("key.pem", store::kSigningKey);
    fs::permissions(path("key.pem"), fs::perms(0600));
    store->set_signing_key(
        std::make_shared<store::SigningKey>(path("key.pem")));
    back_up_run();
    add_rows(*store, 20, 30);
  }
  back_up_run();
  const auto run = store::Reader::open(restored());
  const store::Evidence evidence = store::evidence_of(*run);
  EXPECT_TRUE(evidence.signature_right);
  EXPECT_EQ(evidence.signed_by,
            store::SigningKey(path("key.pem")).public_key());
}

// As another SQLite would have written it.
TEST_F(BackupTest, TheHeaderIsTheStoresOwn) {
  make_run();
  store::edit_store(path("run"), "PRAGMA wal_checkpoint(TRUNCATE)");
  std::string bytes = read_file(path("run/run.db"));
  const std::string version = bytes.substr(96, 4);
  back_up_run();
  EXPECT_EQ(read_file(restored() + "/run.db").substr(96, 4), version);
  EXPECT_EQ(read_file(restored() + "/run.db").substr(40, 4),
            bytes.substr(40, 4));
  bytes[99] = static_cast<char>(bytes[99] - 1);
  write("run/run.db", bytes);
  back_up_run();
  EXPECT_EQ(read_file(path("backup/run.db")).substr(96, 4),
            bytes.substr(96, 4));
}

TEST_F(BackupTest, StoresOfEarlierVersionsAreBackedUp) {
  for (const int version : {1, 2}) {
    fs::remove_all(path("run"));
    fs::remove_all(path("backup"));
    make_run();
    store::make_older(path("run"), version);
    back_up_run();
    restored();
  }
}

TEST_F(BackupTest, AChangedRunLeavesTheLastBackup) {
  make_run();
  back_up_run();
  const std::string last = read_file(path("backup/backup.json"));
  write("run/engraved/adapter/weights", "other");
  EXPECT_THAT(refusal_of([&] { back_up_run(); }, ErrorKind::kDamaged),
              AllOf(HasSubstr("engraved/adapter/weights: expected SHA-256"),
                    HasSubstr(sha256_bytes("other"))));
  fs::remove(path("run/engraved/adapter/weights"));
  EXPECT_THAT(refusal_of([&] { back_up_run(); }, ErrorKind::kDamaged),
              HasSubstr("no such file"));
  EXPECT_EQ(read_file(path("backup/backup.json")), last);
  const std::string run = path("restored");
  restore(path("backup"), run);
  EXPECT_EQ(read_file(run + "/engraved/adapter/weights").size(), 100'000u);
}

TEST_F(BackupTest, LinksAndPipesAreLeftOutAndNamed) {
  make_run();
  write("secret", "a secret");
  fs::create_symlink(path("secret"), path("run/link"));
  fs::create_directory_symlink(path("run"), path("run/engraved/loop"));
  ASSERT_EQ(mkfifo(path("run/pipe").c_str(), 0600), 0);
  write("run/\xff", "");
  // Beside it a store that somebody writes to.
  const auto other = store::Store::open(path("run/ablations/x"));
  const BackupReport report = back_up_run();
  EXPECT_THAT(report.left_out, ElementsAre("ablations/x", "engraved/loop",
                                           "link", "pipe", "\xff"));
  const std::string run = restored();
  EXPECT_FALSE(fs::exists(fs::symlink_status(run + "/link")));
  EXPECT_FALSE(fs::exists(run + "/ablations"));
}

TEST_F(BackupTest, AnAblationIsBackedUpOnceItIsNotWrittenTo) {
  make_run();
  { add_rows(*store::Store::open(path("run/ablations/x")), 0, 5); }
  EXPECT_THAT(back_up_run().left_out, IsEmpty());
  const auto its = store::Reader::open(restored() + "/ablations/x");
  EXPECT_EQ(its->num_rows("a"), 5);
  EXPECT_THAT(store::find_problems(*its), IsEmpty());
}

// A run at work: `act` is done once, as soon as a content was copied.
class RunAtWork : public FolderTarget {
 public:
  RunAtWork(const std::string& folder, const std::string& run,
            std::function<void()> act)
      : FolderTarget(folder, run), act_(std::move(act)) {}

  bool add(const SourceFile& source, const std::string& sha256) override {
    const bool is_added = FolderTarget::add(source, sha256);
    if (auto act = std::exchange(act_, {})) act();
    return is_added;
  }

 private:
  std::function<void()> act_;
};

class WorkTest : public BackupTest {
 protected:
  void back_up_at_work(std::function<void()> act) const {
    RunAtWork target(path("backup"), path("run"), std::move(act));
    back_up(path("run"), target);
  }
};

TEST_F(WorkTest, WhereAStageEndsMeanwhileTheStoreIsCopiedAnew) {
  const auto store = make_run();
  back_up_at_work([&] {
    write("run/verbose/adapter", "later");
    store->commit_manifest({"a", 20, 20, "digest", Json::object()},
                           {"verbose/adapter"});
  });
  restore(path("backup"), path("restored"));
  const auto restored = store::Reader::open(path("restored"));
  EXPECT_TRUE(restored->manifest("a"));
  EXPECT_EQ(read_file(path("restored/verbose/adapter")), "later");
}

// As the trainer writes them: vectors, then the name of theirs, then the old
// vectors go; steps are told before.
TEST_F(WorkTest, FilesThatBelongTogetherAreOfOneMoment) {
  make_run();
  write("run/engraved/vectors-1", "1");
  write("run/engraved/checkpoint.json", "vectors-1");
  write("run/aaa/metrics.jsonl", "1\n");
  back_up_at_work([&] {
    std::ofstream(path("run/aaa/metrics.jsonl"), std::ios::app) << "2\n";
    write("run/engraved/vectors-2", "2");
    write("run/engraved/checkpoint.json", "vectors-2");
    fs::remove(path("run/engraved/vectors-1"));
  });
  const std::string run = restored();
  EXPECT_EQ(read_file(run + "/engraved/checkpoint.json"), "vectors-2");
  EXPECT_EQ(read_file(run + "/engraved/vectors-2"), "2");
  EXPECT_FALSE(fs::exists(run + "/engraved/vectors-1"));
  EXPECT_EQ(read_file(run + "/aaa/metrics.jsonl"), "1\n2\n");
}

TEST_F(BackupTest, GoesNowhereElse) {
  make_run();
  const std::vector<std::string> others = {
      "letter",
      "files/thesis.txt",
      "changes-2026.md",
      "new",
      "run.db",
      "backup.json.old",
      "files/" + std::string(64, 'a') + ".txt"};
  const auto target = [&](const std::string& folder) {
    FolderTarget(path(folder), path("run"));
  };
  for (const std::string& other : others) {
    write("home/" + other, "precious");
    EXPECT_THAT(refusal_of([&] { target("home"); }, ErrorKind::kUsage),
                HasSubstr("found other files"))
        << other;
    EXPECT_EQ(read_file(path("home/" + other)), "precious");
    fs::remove_all(path("home"));
  }
  back_up_run();
  write("backup/changes-2026.md", "precious");
  EXPECT_THAT(refusal_of([&] { target("backup"); }, ErrorKind::kUsage),
              HasSubstr("found other files"));
  fs::remove(path("backup/changes-2026.md"));
  EXPECT_THAT(refusal_of([&] { FolderTarget(path("backup"), path("another")); },
                         ErrorKind::kUsage),
              HasSubstr("found that of " + path("run")));
  FolderTarget open(path("backup"), path("run"));
  EXPECT_THAT(refusal_of([&] { target("backup"); }, ErrorKind::kFailed),
              HasSubstr("no other writer"));
  EXPECT_THAT(refusal_of([&] { restore(path("backup"), path("new")); },
                         ErrorKind::kFailed),
              HasSubstr("is being written"));
}

TEST_F(BackupTest, WhatWasLostOfABackupIsWrittenAgain) {
  make_run(300);
  settle_all();
  back_up_run();
  fs::remove(path("backup/run.db"));
  fs::remove(path("backup/files/" + sha256_bytes("a report")));
  const BackupReport report = back_up_run();
  EXPECT_EQ(report.num_files_written, 1);
  EXPECT_EQ(report.num_blocks_written, report.num_blocks);
  write("backup/run.db", read_file(path("backup/run.db")).substr(9000));
  back_up_run();
  restored();
}

}  // namespace
}  // namespace selfalign::backup
