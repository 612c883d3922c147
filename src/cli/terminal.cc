#include "cli/terminal.h"

#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "base/error.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "text/words.h"

namespace selfalign::cli {
namespace {

// Keys come one by one and are not shown, for as long as it lives.
class RawKeys {
 public:
  RawKeys() : changed_(::tcgetattr(STDIN_FILENO, &before_) == 0) {
    if (!changed_) return;
    termios raw = before_;
    raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    raw.c_cc[VMIN] = 0;
    raw.c_cc[VTIME] = 2;  // tenths of a second until an interrupt is seen
    ::tcsetattr(STDIN_FILENO, TCSANOW, &raw);
  }
  ~RawKeys() {
    if (changed_) ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
  }
  RawKeys(const RawKeys&) = delete;
  RawKeys& operator=(const RawKeys&) = delete;

 private:
  termios before_{};
  bool changed_ = false;
};

bool shows_styles() {
  static const bool shows =
      ::isatty(STDOUT_FILENO) == 1 && std::getenv("NO_COLOR") == nullptr;
  return shows;
}

std::string editor() {
  for (const char* name : {"VISUAL", "EDITOR"}) {
    const char* value = std::getenv(name);
    if (value != nullptr && *value != '\0') return value;
  }
  return "";
}

// The editor may be a command with options, so the shell reads it; the path is
// an argument of its own.
bool run_editor(const std::string& command, const std::string& path) {
  const std::string line = command + " \"$1\"";
  const pid_t child = ::fork();
  if (child == 0) {
    ::execl("/bin/sh", "sh", "-c", line.c_str(), "sh", path.c_str(),
            static_cast<char*>(nullptr));
    ::_exit(127);
  }
  if (child < 0) return false;
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return false;
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

size_t terminal_width() {
  constexpr size_t kUsual = 80;
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) {
    return kUsual;
  }
  return std::clamp<size_t>(size.ws_col, 40, 100);
}

std::string styled(Style style, std::string_view text) {
  struct Look {
    const char* code;
    const char* before;
    const char* after;
  };
  static constexpr Look kLooks[] = {{"1", "", ""},
                                    {"2", "", ""},
                                    {"1;7", ">>", "<<"},
                                    {"31;9", "[-", "-]"},
                                    {"32", "{+", "+}"}};
  const Look& look = kLooks[static_cast<size_t>(style)];
  if (shows_styles()) return str("\033[", look.code, "m", text, "\033[0m");
  return str(look.before, text, look.after);
}

bool KeyReader::on_terminal() const { return ::isatty(STDIN_FILENO) == 1; }

std::optional<char> KeyReader::next() {
  if (!on_terminal()) {
    const auto line = lines_.next_filled();
    if (!line) return std::nullopt;
    const std::string_view text = text::trim(*line);
    rest_ = text::trim(text.substr(1));
    return text[0];
  }
  const RawKeys raw;
  while (!interrupted()) {
    char key = 0;
    const ssize_t n = ::read(STDIN_FILENO, &key, 1);
    constexpr char kEndOfInput = 4;  // Ctrl-D
    if (n < 0 && errno != EINTR && errno != EAGAIN) return std::nullopt;
    if (n == 1 && key == kEndOfInput) return std::nullopt;
    if (n == 1 && key > ' ') return key;
  }
  return std::nullopt;
}

std::string KeyReader::ask(const std::string& prompt) {
  if (!on_terminal()) return std::move(rest_);
  write_out(prompt);
  return lines_.next().value_or("");
}

std::optional<std::string> edit_text(const std::string& text) {
  const std::string command = editor();
  if (command.empty()) return std::nullopt;
  const ScratchFolder folder;
  const std::string path = folder.path() + "/answer.txt";
  write_file_atomic(path, text + "\n");
  if (!run_editor(command, path)) return std::nullopt;
  return read_file(path);
}

}  // namespace selfalign::cli
