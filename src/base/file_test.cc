// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <thread>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/testing.h"

namespace selfalign {
namespace {

using testing::HasSubstr;

class FileTest : public testing::Test {
 protected:
  FileTest()
      : folder_(testing::TempDir() + str("selfalign_file_", ::getpid())) {
    std::filesystem::remove_all(folder_);
    make_folder(folder_);
  }
  ~FileTest() override { std::filesystem::remove_all(folder_); }

  std::string path(const std::string& name) const {
    return folder_ + "/" + name;
  }
  size_t num_files() const {
    size_t count = 0;
    for ([[maybe_unused]] const auto& entry :
         std::filesystem::directory_iterator(folder_)) {
      ++count;
    }
    return count;
  }

  std::string folder_;
};

unsigned mode_of(const std::string& path) {
  struct stat info {};
  EXPECT_EQ(::stat(path.c_str(), &info), 0) << path;
  return info.st_mode & 0777;
}

TEST_F(FileTest, WhatIsMadeInAPrivateFolderIsPrivate) {
  const mode_t before = ::umask(0022);
  make_private_folder(path("a/run/"));
  make_folder(path("a/run/deep/er"));
  write_file_atomic(path("a/run/deep/er/f"), "x");
  make_file(path("a/run/g"));
  EXPECT_EQ(mode_of(path("a")), 0755u);
  for (const char* folder : {"a/run", "a/run/deep", "a/run/deep/er"}) {
    EXPECT_EQ(mode_of(path(folder)), 0700u) << folder;
  }
  EXPECT_EQ(mode_of(path("a/run/deep/er/f")), 0600u);
  EXPECT_EQ(mode_of(path("a/run/g")), 0600u);
  // Elsewhere the umask holds, and a folder that is there stays as it is.
  write_file_atomic(path("a/f"), "x");
  make_file(path("a/g"));
  make_private_folder(path("a"));
  EXPECT_EQ(mode_of(path("a/f")), 0644u);
  EXPECT_EQ(mode_of(path("a/g")), 0644u);
  EXPECT_EQ(mode_of(path("a")), 0755u);
  write_file_atomic(path("a/g"), "kept");
  make_file(path("a/g"));
  EXPECT_EQ(read_file(path("a/g")), "kept");
  ::umask(before);
  EXPECT_EQ(kind_of([&] { make_private_folder(path("a/f")); }),
            ErrorKind::kUsage);
}

TEST_F(FileTest, AScratchFolderIsNewAndGoesAway) {
  std::string gone;
  {
    const ScratchFolder scratch(folder_);
    const ScratchFolder other(folder_);
    EXPECT_NE(scratch.path(), other.path());
    gone = scratch.path();
    make_folder(gone + "/deep");
    write_file_atomic(gone + "/deep/f", "x");
    EXPECT_EQ(num_files(), 2u);
  }
  EXPECT_EQ(num_files(), 0u);
  const Error error = error_of([&] { ScratchFolder scratch(gone); });
  EXPECT_EQ(error.kind(), ErrorKind::kResources);
  EXPECT_THAT(error.what(), HasSubstr("TMPDIR"));
}

TEST_F(FileTest, ReadsWhatWasWritten) {
  const std::string content("a\0b\n", 4);
  write_file_atomic(path("f"), content);
  EXPECT_EQ(read_file(path("f")), content);
  EXPECT_EQ(MappedFile(path("f")).bytes(), content);
  write_file_atomic(path("f"), "");
  EXPECT_EQ(read_file(path("f")), "");
  EXPECT_EQ(MappedFile(path("f")).size(), 0u);
  EXPECT_EQ(num_files(), 1u);
}

TEST_F(FileTest, ReadsUpToTheLimit) {
  write_file_atomic(path("f"), "12345");
  EXPECT_EQ(read_file(path("f"), 5), "12345");
  const Error error = error_of([&] { read_file(path("f"), 4); });
  EXPECT_EQ(error.kind(), ErrorKind::kInput);
  EXPECT_THAT(error.what(), HasSubstr(path("f")));
  // A device has no size to look at first.
  EXPECT_EQ(error_of([] { read_input("/dev/zero", 1 << 20); }).kind(),
            ErrorKind::kInput);
}

TEST_F(FileTest, MissingAndFoldersAreInputErrors) {
  for (const std::string& bad : {path("none"), folder_}) {
    EXPECT_EQ(error_of([&] { read_file(bad); }).kind(), ErrorKind::kInput);
    EXPECT_EQ(error_of([&] { MappedFile file(bad); }).kind(),
              ErrorKind::kInput);
  }
}

// Whoever made the folder may have put a pipe there, which nobody writes to.
TEST_F(FileTest, WhatIsNoFileIsRefusedWithoutWaiting) {
  ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
  const int listener = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  path("socket").copy(address.sun_path, sizeof(address.sun_path) - 1);
  ASSERT_EQ(
      ::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof(address)),
      0);
  std::filesystem::create_symlink("/dev/zero", path("device"));
  for (const char* name : {"pipe", "socket", "device"}) {
    const auto expect_refusal = [&](const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInput) << name;
      EXPECT_THAT(error.what(), HasSubstr(path(name) + ": ")) << name;
    };
    expect_refusal(error_of([&] { read_file(path(name)); }));
    expect_refusal(error_of([&] { MappedFile file(path(name)); }));
  }
  EXPECT_THAT(error_of([&] { read_file(path("pipe")); }).what(),
              HasSubstr("this is a pipe, not a regular file; "));
  EXPECT_THAT(error_of([&] { read_file(path("device")); }).what(),
              HasSubstr("this is a device, not a regular file; "));
  ::close(listener);
}

TEST_F(FileTest, WhatAPersonNamesMayBeAPipe) {
  ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
  std::thread writer([&] {
    const int fd = ::open(path("pipe").c_str(), O_WRONLY);
    EXPECT_EQ(::write(fd, "ab", 2), 2);
    ::close(fd);
  });
  EXPECT_EQ(read_input(path("pipe")), "ab");
  writer.join();
  EXPECT_EQ(read_input("/dev/null"), "");
  EXPECT_EQ(error_of([&] { read_input(folder_); }).kind(), ErrorKind::kInput);
}

TEST_F(FileTest, TheFirstSignalEndsTheWaitForAPipe) {
  ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
  for (const bool has_writer : {false, true}) {
    const pid_t child = fork();
    if (child == 0) {
      install_interrupt_handlers();
      const Error error = error_of([&] { read_input(path("pipe")); });
      _exit(error.kind() == ErrorKind::kInterrupted ? 7 : 1);
    }
    const int writer = has_writer ? ::open(path("pipe").c_str(), O_WRONLY) : -1;
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    ::kill(child, SIGTERM);
    int status = 0;
    for (int i = 0; i < 1000 && ::waitpid(child, &status, WNOHANG) == 0; ++i) {
      if (i == 999) ::kill(child, SIGKILL);
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 7) << has_writer;
    if (has_writer) ::close(writer);
  }
}

// Peak memory of a process is seen in one of its own.
TEST_F(FileTest, AStreamWithoutEndTakesBoundedMemory) {
  const pid_t child = fork();
  if (child == 0) {
    const Error error = error_of([] { read_input("/dev/zero"); });
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const bool is_clear = std::string(error.what()).find("bytes of a device") !=
                          std::string::npos;
    _exit(usage.ru_maxrss > int64_t{400} * 1024 ? 1 : is_clear ? 0 : 2);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

// In a folder from elsewhere what has the name of a temporary file may lead
// anywhere, or nowhere.
TEST_F(FileTest, TemporariesAreNewFiles) {
  write_file_atomic(path("precious"), "precious");
  for (int i = 0; i < 100; ++i) {
    const std::string name = path(str("f.tmp-", getpid(), "-", i));
    if (i % 2 == 0) {
      std::filesystem::create_symlink(path("precious"), name);
    } else {
      ASSERT_EQ(::mkfifo(name.c_str(), 0600), 0);
    }
  }
  std::filesystem::create_symlink(path("precious"), path("f"));
  for (int i = 0; i < 3; ++i) write_file_atomic(path("f"), "new");
  EXPECT_EQ(read_file(path("precious")), "precious");
  EXPECT_FALSE(std::filesystem::is_symlink(path("f")));
  EXPECT_EQ(num_files(), 102u);
}

// A limit on file size stands for the full disk: both end a write midway.
TEST_F(FileTest, AFullDiskLeavesTheOldFile) {
  write_file_atomic(path("f"), "old");
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit old_limit{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &old_limit), 0);
  rlimit limit = old_limit;
  limit.rlim_cur = 1000;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
  const Error error =
      error_of([&] { write_file_atomic(path("f"), std::string(5000, 'x')); });
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &old_limit), 0);
  std::signal(SIGXFSZ, old_handler);
  EXPECT_EQ(error.kind(), ErrorKind::kResources);
  EXPECT_THAT(error.what(), HasSubstr(path("f")));
  EXPECT_EQ(read_file(path("f")), "old");
  EXPECT_EQ(num_files(), 1u) << "the temporary file must be gone";
}

TEST_F(FileTest, OnlyTemporariesOfDeadProcessesAreRemoved) {
  const pid_t child = fork();
  if (child == 0) _exit(0);
  waitpid(child, nullptr, 0);
  make_folder(path("sub"));
  const std::string dead = path(str("sub/a.tmp-", child, "-0"));
  const std::string living = path(str("a.tmp-", getpid(), "-0"));
  for (const std::string& file : {dead, living, path("a.tmp-x")}) {
    write_file_atomic(file, "half");
  }
  remove_stale_temporaries(path(""));
  EXPECT_FALSE(std::filesystem::exists(dead));
  EXPECT_TRUE(std::filesystem::exists(living));
  EXPECT_TRUE(std::filesystem::exists(path("a.tmp-x")));
}

TEST_F(FileTest, AMissingFolderIsNamed) {
  const Error error =
      error_of([&] { write_file_atomic(path("no/such/f"), "x"); });
  EXPECT_EQ(error.kind(), ErrorKind::kFailed);
  EXPECT_THAT(error.what(), HasSubstr("no/such/f"));
}

TEST_F(FileTest, MakesFoldersWithParents) {
  make_folder(path("a/b/c"));
  make_folder(path("a/b/c"));
  EXPECT_TRUE(std::filesystem::is_directory(path("a/b/c")));
  write_file_atomic(path("f"), "");
  EXPECT_THROW(make_folder(path("f")), Error);
  EXPECT_THROW(make_folder(path("f/g")), Error);
}

TEST_F(FileTest, APointerOfGitLfsIsNotTheFile) {
  const std::string file = path("tokenizer.json");
  const auto expect_refusal = [&](const auto& read) {
    const std::string error = refusal_of([&] { read(); });
    EXPECT_THAT(error, HasSubstr("tokenizer.json: "));
    EXPECT_THAT(error, HasSubstr("git-lfs pointer"));
    EXPECT_THAT(error, HasSubstr("git lfs pull"));
  };
  for (const char* pointer :
       {"version https://git-lfs.github.com/spec/v1\noid sha256:aa\nsize 9\n",
        "\xef\xbb\xbfversion https://git-lfs.github.com/spec/v1\r\noid "
        "sha256:aa\r\nsize 9\r\n"}) {
    write_file_atomic(file, pointer);
    expect_refusal([&] { read_file(file); });
    expect_refusal([&] { MappedFile map(file); });
  }
}

}  // namespace
}  // namespace selfalign
