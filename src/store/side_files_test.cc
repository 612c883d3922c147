// SPDX-License-Identifier: Apache-2.0
// Log and journal beside a store: those of a kill, and those of another hand.
#include "store/side_files.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "base/file.h"
#include "base/testing.h"
#include "store/checks.h"
#include "store/store.h"

namespace selfalign::store {
namespace {

namespace fs = std::filesystem;

constexpr size_t kPage = 4096;

// Of a database that had `num_pages` when it was begun.
std::string journal_of(char num_pages) {
  std::string journal("\xd9\xd5\x05\xf9\x20\xa1\x63\xd7", 8);
  journal.resize(512);
  journal[19] = num_pages;
  journal[22] = 2;     // sectors of 512 bytes
  journal[26] = 0x10;  // pages of 4096
  return journal;
}

class SideFilesTest : public ::testing::Test {
 protected:
  void make_store() const {
    fs::remove_all(folder_);
    const auto store = Store::open(folder_);
    store->add_rows({{1, "a", 0, {}, Json{{"text", std::string(9000, 'x')}}}});
  }
  // One whose last rows are in the log alone.
  void make_killed_store() const {
    fs::remove_all(folder_);
    const pid_t child = fork();
    if (child == 0) {
      const auto store = Store::open(folder_);
      store->add_rows({{1, "a", 0, {}, Json::object()}});
      std::raise(SIGKILL);
    }
    waitpid(child, nullptr, 0);
    ASSERT_EQ(look_at_log(db_, kPage), Log::kFilled);
  }
  void write(const std::string& ending, const std::string& bytes) const {
    write_file_atomic(db_ + ending, bytes);
  }
  void patch(const std::string& ending, size_t at, char byte) const {
    std::string bytes = read_file(db_ + ending);
    bytes.at(at) = byte;
    write(ending, bytes);
  }
  bool is_sound() const {
    return find_problems(*Reader::open(folder_)).empty();
  }

  const ScratchFolder scratch_;
  const std::string folder_ = scratch_.path() + "/run";
  const std::string db_ = folder_ + "/run.db";
};

TEST_F(SideFilesTest, ALogOfAKilledRunIsSound) {
  make_killed_store();
  EXPECT_TRUE(is_sound());
  // Beside it the fixed fields of the header are looked at all the same.
  make_killed_store();
  patch("", 72, 1);
  EXPECT_FALSE(is_sound());
  // A log that was begun anew and has no frame yet: the file is all there is.
  make_killed_store();
  const std::string log = read_file(db_ + "-wal");
  make_store();
  write("-wal", log.substr(0, 32));
  EXPECT_EQ(look_at_log(db_, kPage), Log::kNone);
  EXPECT_TRUE(is_sound());
  write("-wal", log.substr(0, 7));
  EXPECT_TRUE(is_sound());
  write("-wal", std::string(5000, '\0'));
  EXPECT_TRUE(is_sound());
}

TEST_F(SideFilesTest, ALogThatIsNoneIsFoundAndHidesNothing) {
  make_killed_store();
  std::string log = read_file(db_ + "-wal");
  log[20] = static_cast<char>(log[20] ^ 1);
  for (const std::string& bytes :
       {std::string("x"), std::string(5000, 'x'), log}) {
    make_store();
    write("-wal", bytes);
    EXPECT_EQ(look_at_log(db_, kPage), Log::kForeign);
    EXPECT_FALSE(is_sound());
  }
  // Nor does a log that holds nothing.
  make_store();
  const std::string sound = read_file(db_);
  for (const size_t at : {72, 96}) {
    write("", sound);
    write("-wal", std::string(100, '\0'));
    EXPECT_TRUE(is_sound());
    patch("", at, 1);
    EXPECT_FALSE(is_sound()) << at;
  }
  write("", sound + std::string(kPage, 'A'));
  EXPECT_FALSE(is_sound());
}

TEST_F(SideFilesTest, AJournalOfAnotherHandIsDamage) {
  for (const std::string& bytes :
       {std::string("hello"), std::string(600, 'x'), journal_of(0),
        journal_of(3), std::string(512, '\0')}) {
    make_store();
    write("-journal", bytes);
    for (const Error& error : {error_of([&] { Reader::open(folder_); }),
                               error_of([&] { Store::open(folder_); })}) {
      EXPECT_EQ(error.kind(), ErrorKind::kDamaged);
      EXPECT_NE(std::string(error.what()).find("run.db-journal: expected no"),
                std::string::npos)
          << error.what();
    }
    fs::remove(db_ + "-journal");
    EXPECT_TRUE(is_sound());
  }
}

// As a kill between the first page and the end of its journal leaves it.
TEST_F(SideFilesTest, AJournalOfItsMakingIsTakenBack) {
  make_store();
  const std::string page = read_file(db_).substr(0, kPage);
  fs::remove_all(folder_);
  make_folder(folder_);
  write("", page);
  write("-journal", journal_of(0));
  EXPECT_TRUE(is_being_made(db_));
  EXPECT_FALSE(Reader::is_made(folder_));
  EXPECT_EQ(kind_of([&] { Reader::open(folder_); }), ErrorKind::kInput);
  Store::open(folder_);
  EXPECT_FALSE(fs::exists(db_ + "-journal"));
  EXPECT_TRUE(is_sound());
  // Before that the journal has no magic yet, and the file no byte.
  fs::remove_all(folder_);
  make_folder(folder_);
  write("", "");
  write("-journal", std::string(512, '\0'));
  EXPECT_FALSE(Reader::is_made(folder_));
  Store::open(folder_);
  EXPECT_FALSE(fs::exists(db_ + "-journal"));
  EXPECT_TRUE(is_sound());
}

}  // namespace
}  // namespace selfalign::store
