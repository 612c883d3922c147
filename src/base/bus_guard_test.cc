// SPDX-License-Identifier: Apache-2.0
#include "base/bus_guard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <thread>

#include "base/file.h"
#include "base/log.h"
#include "base/testing.h"

namespace selfalign {
namespace {

using ::testing::HasSubstr;

constexpr size_t kPage = 4096;

// A file of three pages, mapped and then cut off.
class CutFile {
 public:
  CutFile()
      : path_(testing::TempDir() + str("selfalign_cut_", ::getpid())),
        map_((write_file_atomic(path_, std::string(3 * kPage, 'x')), path_)) {
    if (::truncate(path_.c_str(), off_t{kPage} + 10) != 0) std::abort();
  }
  ~CutFile() { ::unlink(path_.c_str()); }

  char at(size_t place) const {
    return *const_cast<const volatile char*>(map_.data() + place);
  }
  const MappedFile& map() const { return map_; }

 private:
  std::string path_;
  MappedFile map_;
};

TEST(BusGuardTest, ACutFileEndsTheProcessWithItsName) {
  constexpr char kText[] =
      "^error: .*selfalign_cut_.*: the file was cut short or written to "
      "while it was read.*put it back whole.*\n$";
  EXPECT_EXIT(
      {
        const CutFile file;
        if (file.at(0) != 'x') std::exit(1);
        std::exit(file.at(2 * kPage));
      },
      testing::ExitedWithCode(3), kText);
  // In any thread, and through a call of the library, too.
  EXPECT_EXIT(
      {
        const CutFile file;
        std::thread([&] { std::string copy(file.map().bytes()); }).join();
      },
      testing::ExitedWithCode(3), kText);
  EXPECT_EXIT(
      {
        set_log_json(true);
        const CutFile file;
        std::exit(file.at(2 * kPage));
      },
      testing::ExitedWithCode(3),
      "^\\{.*\"level\":\"error\",\"text\":.*\\}\n$");
}

// Within the last page zeros stand for what is gone.
TEST(BusGuardTest, ACutWithinAPageIsSeenWhenAsked) {
  const CutFile file;
  EXPECT_EQ(file.at(kPage + 10), '\0');
  EXPECT_THAT(refusal_of([&] { file.map().require_unchanged(); }),
              HasSubstr("the file was cut short"));
}

// By the signal, or as a sanitizer tells it; not as a file that was cut.
bool died_of_it(int status) {
  return WIFSIGNALED(status)
             ? WTERMSIG(status) == SIGBUS
             : WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != 3;
}

// What is no mapped file dies as ever, and a file that is mapped no more is
// none.
TEST(BusGuardTest, OtherBusErrorsStayWhatTheyAre) {
  EXPECT_EXIT(
      {
        const CutFile file;
        std::raise(SIGBUS);
      },
      died_of_it, "");
  EXPECT_EXIT(
      {
        std::optional<CutFile> file(std::in_place);
        const char* gone = file->map().data();
        file.reset();
        std::FILE* made = std::tmpfile();
        if (made == nullptr ||
            ::mmap(const_cast<char*>(gone), kPage, PROT_READ,
                   MAP_PRIVATE | MAP_FIXED, ::fileno(made), 0) == MAP_FAILED) {
          std::exit(1);
        }
        std::exit(*const_cast<const volatile char*>(gone));
      },
      died_of_it, "");
}

}  // namespace
}  // namespace selfalign
