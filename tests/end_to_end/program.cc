// SPDX-License-Identifier: Apache-2.0
#include "program.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <utility>

#include "base/file.h"

namespace selfalign::tests {
namespace {

// Over 128 bash says by what signal the program was killed.
int code_of(int status) {
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return code > 128 ? -1 : code;
}

// The file that bash is to read.
std::string script(const std::string& folder, const std::string& line) {
  const std::string path = folder + "/line";
  write_file_atomic(path, "set -o pipefail\nselfalign() { '" SELFALIGN_PROGRAM
                          "' \"$@\"; }\ncd '" +
                              folder + "'\n" + line + "\n");
  return path;
}

}  // namespace

std::vector<Json> Outcome::lines() const {
  std::vector<Json> values;
  std::istringstream in(out);
  for (std::string line; std::getline(in, line);) {
    values.push_back(parse_json(line, "stdout"));
  }
  return values;
}

Outcome run_bash(const std::string& folder, const std::string& line,
                 const std::string& input) {
  const auto file = [&folder](const char* name) { return folder + "/" + name; };
  write_file_atomic(file("stdin"), input);
  const std::string command = "bash '" + script(folder, line) + "' <'" +
                              file("stdin") + "' >'" + file("stdout") +
                              "' 2>'" + file("stderr") + "'";
  const int code = code_of(std::system(command.c_str()));
  return {code, read_file(file("stdout")), read_file(file("stderr"))};
}

void ProgramFolder::link_prompts() const {
  std::filesystem::create_directory_symlink(
      std::filesystem::absolute("prompts"), path("prompts"));
}

Terminal::Terminal(const std::string& folder, const std::string& line) {
  const std::string path = script(folder, line);
  winsize size{24, 80, 0, 0};
  child_ = ::forkpty(&terminal_, nullptr, nullptr, &size);
  if (child_ == 0) {
    ::execlp("bash", "bash", path.c_str(), static_cast<char*>(nullptr));
    ::_exit(127);
  }
  EXPECT_GT(child_, 0);
}

Terminal::~Terminal() {
  if (terminal_ >= 0) ::close(terminal_);
  if (child_ > 0) ::waitpid(child_, nullptr, 0);
}

// False at the end, or if nothing comes for long.
bool Terminal::read_some() {
  constexpr int kPatienceMs = 120000;
  pollfd waiting{terminal_, POLLIN, 0};
  if (::poll(&waiting, 1, kPatienceMs) <= 0) return false;
  char bytes[4096];
  const ssize_t n = ::read(terminal_, bytes, sizeof(bytes));
  if (n <= 0) return false;
  screen_.append(bytes, size_t(n));
  return true;
}

bool Terminal::shows(const std::string& text) {
  while (screen_.find(text) == std::string::npos) {
    if (!read_some()) return false;
  }
  return true;
}

bool Terminal::takes_keys_before(const std::string& text) {
  while (screen_.find(text) == std::string::npos) {
    termios now{};
    if (::tcgetattr(terminal_, &now) == 0 && (now.c_lflag & ICANON) == 0) {
      return true;
    }
    pollfd waiting{terminal_, POLLIN, 0};
    if (::poll(&waiting, 1, 1) > 0 && !read_some()) return false;
  }
  return false;
}

void Terminal::press(const std::string& keys) {
  screen_.clear();
  EXPECT_EQ(::write(terminal_, keys.data(), keys.size()), ssize_t(keys.size()));
}

int Terminal::end() {
  while (read_some()) {
  }
  // Hangs up on one that is silent but does not end.
  ::close(std::exchange(terminal_, -1));
  int status = 0;
  ::waitpid(child_, &status, 0);
  child_ = -1;
  return code_of(status);
}

}  // namespace selfalign::tests
