// SPDX-License-Identifier: Apache-2.0
#include "faults/faults.h"

#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <random>
#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "base/number.h"
#include "base/random.h"

namespace selfalign::tests {
namespace {

using std::chrono::steady_clock;
constexpr auto kPatience = std::chrono::minutes(2);

uint64_t fault_seed() {
  static const uint64_t seed = [] {
    const char* given = std::getenv("SELFALIGN_FAULT_SEED");
    const uint64_t drawn = given != nullptr
                               ? parse_number<uint64_t>(given).value()
                               : std::random_device{}();
    std::cerr << "SELFALIGN_FAULT_SEED=" << drawn << "\n";
    return drawn;
  }();
  return seed;
}

// Sends SIGTERM once `file` holds `text`; gives up with the process.
void stop_when(pid_t child, const std::string& file, const std::string& text) {
  const auto end = steady_clock::now() + kPatience;
  siginfo_t info{};
  while (waitid(P_PID, child, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
         info.si_pid == 0) {
    if (read_file(file).find(text) != std::string::npos) {
      kill(child, SIGTERM);
      return;
    }
    if (steady_clock::now() > end) {
      ADD_FAILURE() << "no " << text << " in " << read_file(file);
      kill(child, SIGKILL);
      return;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

}  // namespace

std::vector<int64_t> fault_points(int64_t num_calls) {
  constexpr int64_t kNumPoints = 40;
  const char* full = std::getenv("SELFALIGN_FULL_TESTS");
  const bool all = full != nullptr && *full == '1';
  static uint64_t num_drawn = 0;
  std::vector<int64_t> points;
  for (const uint32_t i :
       draw_sample(fault_seed() + num_drawn++, static_cast<uint32_t>(num_calls),
                   static_cast<uint32_t>(
                       all ? num_calls : std::min(num_calls, kNumPoints)))) {
    points.push_back(1 + i);
  }
  return points;
}

Faults::Faults() { std::filesystem::create_directory(path("disk")); }

Ended Faults::run(const std::string& line, const std::optional<Fault>& fault,
                  const std::string& until) const {
  std::string shell;
  if (fault) {
    shell = str("FAULT_FOLDER='", path("disk"), "' FAULT_KIND='", fault->kind,
                "' FAULT_AT=", fault->at, " FAULT_REPORT='", path("count"),
                "' LD_PRELOAD='" SELFALIGN_FAULT_SHIM "' ");
  }
  shell += str(line, " >'", path("out"), "' 2>'", path("err"), "'");
  write_file_atomic(path("out"), "");
  const pid_t child = fork();
  if (child == 0) {
    execl("/bin/sh", "sh", "-c", shell.c_str(), nullptr);
    _exit(127);
  }
  if (!until.empty()) stop_when(child, path("out"), until);
  int status = 0;
  waitpid(child, &status, 0);
  Ended ended;
  if (WIFEXITED(status)) ended.code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) ended.signal = WTERMSIG(status);
  ended.out = read_file(path("out"));
  ended.err = read_file(path("err"));
  return ended;
}

int64_t Faults::num_calls() const {
  return parse_number<int64_t>(read_file(path("count"))).value();
}

void check_end_under(const Fault& fault, const Ended& ended) {
  if (fault.kind.starts_with("kill")) {
    ASSERT_EQ(ended.signal, SIGKILL) << ended.code << ended.err;
    return;
  }
  ASSERT_EQ(ended.signal, 0) << ended.err;
  if (ended.code == 0) return;
  ASSERT_NE(fault.kind, "short") << ended.code << ended.err;
  if (fault.kind == "read") {  // of input, or of what was written before
    ASSERT_THAT(ended.code, testing::AnyOf(3, 4, 5)) << ended.err;
  } else {
    ASSERT_EQ(ended.code, 4) << ended.err;
  }
  ASSERT_THAT(ended.err, testing::AnyOf(testing::HasSubstr("error: "),
                                        testing::HasSubstr("\"error\"")));
  ASSERT_THAT(ended.err, testing::AnyOf(testing::HasSubstr("expected"),
                                        testing::HasSubstr("cannot")));
}

}  // namespace selfalign::tests
