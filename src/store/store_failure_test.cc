// SPDX-License-Identifier: Apache-2.0
// What goes wrong around a store: no run, damage, a full disk, a folder that
// cannot be written.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>

#include "base/error.h"
#include "base/interrupt.h"
#include "store/store.h"
#include "store/testing.h"

namespace selfalign::store {
namespace {

namespace fs = std::filesystem;

class StoreFailureTest : public ::testing::Test {
 protected:
  StoreFailureTest() {
    folder_ =
        ::testing::TempDir() + "store_failure." + std::to_string(getpid());
    fs::remove_all(folder_);
  }
  ~StoreFailureTest() override { fs::remove_all(folder_); }

  std::string folder_;
};

Row row_of(uint64_t key, int64_t seq, size_t size = 1) {
  return {key, "a", seq, {}, Json{{"text", std::string(size, 'x')}}};
}

int exit_code_of(const std::function<void()>& fn) {
  try {
    fn();
  } catch (const Error& error) {
    return static_cast<int>(error.kind());
  }
  return 0;
}

TEST_F(StoreFailureTest, NoRunIsBadInput) {
  EXPECT_EQ(exit_code_of([&] { Reader::open(folder_); }), 3);
  EXPECT_FALSE(fs::exists(folder_));
}

TEST_F(StoreFailureTest, DamageIsNamed) {
  const std::string path = folder_ + "/run.db";
  {
    auto store = Store::open(folder_);
    for (int i = 0; i < 50; ++i) {
      store->add_rows({row_of(static_cast<uint64_t>(i + 1), i, 2000)});
    }
  }
  const auto size = fs::file_size(path);
  fs::resize_file(path, size / 2);
  EXPECT_EQ(exit_code_of([&] { Store::open(folder_); }), 5);
  std::ofstream(path) << "this is not a database, it only has its name";
  EXPECT_EQ(exit_code_of([&] { Reader::open(folder_); }), 5);
}

TEST_F(StoreFailureTest, OtherProgramsAndNewerStoresAreLeftAlone) {
  const std::string path = folder_ + "/run.db";
  { Store::open(folder_); }
  edit_store(folder_, "PRAGMA user_version=99");
  EXPECT_EQ(exit_code_of([&] { Store::open(folder_); }), 5);
  fs::remove(path);
  edit_store(folder_, "CREATE TABLE songs (name TEXT)");
  EXPECT_EQ(exit_code_of([&] { Store::open(folder_); }), 5);
}

TEST_F(StoreFailureTest, BadContentIsDamage) {
  {
    auto store = Store::open(folder_);
    store->add_rows({row_of(1, 0)});
  }
  edit_store(folder_, "UPDATE rows SET content = '{'");
  auto store = Reader::open(folder_);
  EXPECT_EQ(exit_code_of([&] { store->rows("a"); }), 5);
}

TEST_F(StoreFailureTest, AnUnwritableFolderIsARefusal) {
  EXPECT_EQ(exit_code_of([] { Store::open("/proc/no-run"); }), 4);
}

// Runs `test` in a child that has its own small file system mounted at the
// test's folder; the child's exit code, or -1 where mounting is not allowed.
int in_small_disk(const std::string& folder, const std::function<int()>& test) {
  fs::create_directories(folder);
  const pid_t child = fork();
  if (child == 0) {
    const bool mounted =
        (unshare(CLONE_NEWNS) == 0 ||
         unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0) &&
        mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
        mount("small", folder.c_str(), "tmpfs", 0, "size=512k") == 0;
    _exit(mounted ? test() : 77);
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (!WIFEXITED(status)) return 99;
  return WEXITSTATUS(status) == 77 ? -1 : WEXITSTATUS(status);
}

TEST_F(StoreFailureTest, AFullDiskLosesNothing) {
  const int code = in_small_disk(folder_, [&] {
    int64_t num_added = 0;
    {
      auto store = Store::open(folder_);
      const int full = exit_code_of([&] {
        for (; num_added < 1000; ++num_added) {
          store->add_rows(
              {row_of(static_cast<uint64_t>(num_added + 1), num_added, 4000)});
        }
      });
      if (full != 4) return 10;
      if (store->num_rows("a") != num_added) return 11;
    }
    auto store = Reader::open(folder_);
    return num_added > 0 && store->num_rows("a") == num_added ? 0 : 12;
  });
  if (code == -1) {
    GTEST_SKIP() << "mounting a small file system is not allowed here";
  }
  EXPECT_EQ(code, 0);
}

// ulimit -f is a disk that is full for one file.
TEST_F(StoreFailureTest, AFileOverTheLimitLosesNothing) {
  const auto fill = [this] {
    install_interrupt_handlers();
    rlimit limit{};
    limit.rlim_cur = limit.rlim_max = 300'000;
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) std::exit(9);
    int64_t num_added = 0;
    try {
      auto store = Store::open(folder_);
      for (; num_added < 1000; ++num_added) {
        store->add_rows(
            {row_of(static_cast<uint64_t>(num_added + 1), num_added, 4000)});
      }
    } catch (const Error& error) {
      std::cerr << error.what();
      auto store = Reader::open(folder_);
      if (num_added == 0 || store->num_rows("a") != num_added) std::exit(8);
      std::exit(static_cast<int>(error.kind()));
    }
    std::exit(0);
  };
  EXPECT_EXIT(fill(), testing::ExitedWithCode(4),
              "cannot use the run store .*run.db.*free disk space");
}

// In the folder of a run from elsewhere: nobody writes to it, nobody waits.
TEST_F(StoreFailureTest, APipeInPlaceOfAFileIsDamage) {
  { Store::open(folder_); }
  for (const std::string name : {"run.db-journal", "run.db-wal", "run.db"}) {
    const std::string path = folder_ + "/" + name;
    fs::remove(path);
    ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
    EXPECT_EQ(exit_code_of([&] { Reader::open(folder_); }), 5) << name;
    EXPECT_EQ(exit_code_of([&] { Store::open(folder_); }), 5) << name;
    fs::remove(path);
  }
  const std::string lock = folder_ + "/run.lock";
  fs::remove(lock);
  ASSERT_EQ(mkfifo(lock.c_str(), 0600), 0);
  EXPECT_EQ(Reader::writer_of(folder_), std::nullopt);
}

TEST_F(StoreFailureTest, AReadOnlyDiskCanBeReadAndNotWritten) {
  const int code = in_small_disk(folder_, [&] {
    {
      auto store = Store::open(folder_);
      store->add_rows({row_of(1, 0)});
    }
    if (mount(nullptr, folder_.c_str(), nullptr, MS_REMOUNT | MS_RDONLY,
              nullptr) != 0) {
      return 77;
    }
    auto store = Reader::open(folder_);
    if (store->num_rows("a") != 1) return 10;
    return exit_code_of([&] { Store::open(folder_); }) == 4 ? 0 : 11;
  });
  if (code == -1) {
    GTEST_SKIP() << "mounting a small file system is not allowed here";
  }
  EXPECT_EQ(code, 0);
}

// Makes a run whose writer was killed: its last rows are in the log alone.
int make_killed_run(const std::string& folder) {
  const pid_t child = fork();
  if (child == 0) {
    auto store = Store::open(folder);
    store->add_rows({row_of(1, 0), row_of(2, 1)});
    std::raise(SIGKILL);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFSIGNALED(status) ? 0 : 9;
}

TEST_F(StoreFailureTest, AKilledRunOnAReadOnlyDiskIsReadWhole) {
  const int code = in_small_disk(folder_, [&] {
    if (make_killed_run(folder_) != 0) return 9;
    if (fs::file_size(folder_ + "/run.db-wal") == 0) return 10;
    if (mount(nullptr, folder_.c_str(), nullptr, MS_REMOUNT | MS_RDONLY,
              nullptr) != 0) {
      return 77;
    }
    auto store = Reader::open(folder_);
    return store->num_rows("a") == 2 ? 0 : 11;
  });
  if (code == -1) {
    GTEST_SKIP() << "mounting a small file system is not allowed here";
  }
  EXPECT_EQ(code, 0);
}

// Without the log's index nothing can be read there: not less than there is.
TEST_F(StoreFailureTest, AKilledRunWithoutItsIndexIsRefusedOnAReadOnlyDisk) {
  const int code = in_small_disk(folder_, [&] {
    if (make_killed_run(folder_) != 0) return 9;
    fs::remove(folder_ + "/run.db-shm");
    if (mount(nullptr, folder_.c_str(), nullptr, MS_REMOUNT | MS_RDONLY,
              nullptr) != 0) {
      return 77;
    }
    try {
      Reader::open(folder_);
    } catch (const Error& error) {
      const bool clear =
          std::string(error.what()).find("copy the run") != std::string::npos;
      return error.kind() == ErrorKind::kResources && clear ? 0 : 12;
    }
    return 13;
  });
  if (code == -1) {
    GTEST_SKIP() << "mounting a small file system is not allowed here";
  }
  EXPECT_EQ(code, 0);
}

// Another user looks at a run that is at work, without the right to write: its
// owner has opened it, since it is made for the owner alone.
TEST_F(StoreFailureTest, AReaderWithoutRightsSeesALiveRun) {
  if (getuid() != 0) GTEST_SKIP() << "only root can be another user";
  const auto writer = Store::open(folder_);
  writer->add_rows({row_of(1, 0)});
  EXPECT_EQ(fs::status(folder_).permissions(), fs::perms(0700));
  for (const auto& entry : fs::directory_iterator(folder_)) {
    EXPECT_EQ(entry.status().permissions(), fs::perms(0600)) << entry.path();
    fs::permissions(entry.path(), fs::perms(0644));
  }
  fs::permissions(folder_, fs::perms(0755));
  const pid_t child = fork();
  if (child == 0) {
    if (setgid(65534) != 0 || setuid(65534) != 0) _exit(10);
    int code = exit_code_of([&] { Store::open(folder_); });
    if (code == 4) {
      code = exit_code_of([&] {
        const auto reader = Reader::open(folder_);
        if (reader->num_rows("a") != 1) _exit(11);
      });
    } else {
      code = 12;
    }
    _exit(code);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace selfalign::store
