// SPDX-License-Identifier: Apache-2.0
#include "cli/terminal_input.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/last_act.h"
#include "base/screen.h"
#include "cli/early_terminal.h"

namespace selfalign::cli {
namespace {

constexpr size_t kMaxLineBytes = size_t{64} << 20;
constexpr size_t kReadBytes = size_t{64} << 10;
// A signal that comes between the check and the wait is seen after this time.
constexpr int kPollMs = 200;
constexpr char kEscape = '\x1b';

termios terminal_before;
bool is_taken = false;

void set_terminal() {
  termios now{};
  if (::tcgetattr(STDIN_FILENO, &now) != 0) return;
  constexpr auto kOff = static_cast<tcflag_t>(ICANON | ECHO);
  if ((now.c_lflag & kOff) == 0) return;
  now.c_lflag &= ~kOff;
  now.c_cc[VMIN] = 1;
  now.c_cc[VTIME] = 0;
  ::tcsetattr(STDIN_FILENO, TCSANOW, &now);
}

}  // namespace

const termios& take_terminal() {
  if (!is_taken && ::tcgetattr(STDIN_FILENO, &terminal_before) == 0) {
    is_taken = true;
    set_last_act(give_terminal_back);
    set_terminal();
  }
  return terminal_before;
}

void give_terminal_back() {
  if (is_taken) ::tcsetattr(STDIN_FILENO, TCSANOW, &terminal_before);
  is_taken = false;
}

TerminalInput::TerminalInput() : before_(take_terminal()) {}

TerminalInput::~TerminalInput() { give_terminal_back(); }

// Also after the process was stopped and goes on, when the shell may have set
// the terminal otherwise.
void TerminalInput::apply() const { set_terminal(); }

void TerminalInput::outside(const std::function<void()>& fn) {
  ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
  fn();
  apply();
}

bool TerminalInput::fill(bool waits) {
  do {
    if (at_end_ || interrupted()) return false;
    apply();
    pollfd entry{STDIN_FILENO, POLLIN, 0};
    if (::poll(&entry, 1, waits ? kPollMs : 0) <= 0) continue;
    buffer_.resize(kReadBytes);
    const ssize_t n = ::read(STDIN_FILENO, buffer_.data(), buffer_.size());
    const int problem = errno;
    buffer_.resize(n > 0 ? static_cast<size_t>(n) : 0);
    begin_ = 0;
    if (n > 0) return true;
    at_end_ = n == 0 || (problem != EINTR && problem != EAGAIN);
  } while (waits);
  return false;
}

std::optional<char> TerminalInput::next(bool waits) {
  if (begin_ == buffer_.size()) {
    show("");
    if (!fill(waits)) return std::nullopt;
  }
  return buffer_[begin_++];
}

// Whether the byte is what the person's terminal is set to use as `which`.
bool TerminalInput::is(char c, int which) const {
  const cc_t set = before_.c_cc[which];
  return set != _POSIX_VDISABLE && static_cast<cc_t>(c) == set;
}

// Arrow keys and their like: ESC, then "[" up to a letter or "~", or "O" and
// one byte, or any one byte.
bool TerminalInput::skips_escape(char c) {
  if (c == kEscape) {
    escape_ = c;
    return true;
  }
  if (escape_ == '\0') return false;
  const bool opens = escape_ == kEscape && (c == '[' || c == 'O');
  const bool inside = escape_ == '[' && !(c >= '@' && c <= '~');
  if (opens) {
    escape_ = c;
  } else if (!inside) {
    escape_ = '\0';
  }
  return true;
}

std::optional<char> TerminalInput::key() {
  while (const std::optional<char> c = next(true)) {
    if (is(*c, VEOF)) return std::nullopt;
    if (!skips_escape(*c) && static_cast<unsigned char>(*c) > ' ') return c;
  }
  return std::nullopt;
}

bool TerminalInput::take_line(bool waits) {
  while (!is_whole_ && !is_closed_) {
    const std::optional<char> c = next(waits);
    if (!c) return at_end_ || interrupted();
    if (*c == '\n' || *c == '\r') {
      show("\n");
      is_whole_ = true;
    } else if (is(*c, VEOF) && line_.empty()) {
      is_closed_ = true;
    } else {
      take(*c, line_);
    }
    if (line_.size() > kMaxLineBytes) {
      throw Error(ErrorKind::kInput,
                  str("stdin: expected lines of at most ", kMaxLineBytes,
                      " bytes, found a longer one; split it"));
    }
  }
  return true;
}

bool TerminalInput::line_ready() { return take_line(false); }

std::optional<std::string> TerminalInput::line() {
  take_line(true);
  std::string line = std::exchange(line_, {});
  is_closed_ = false;
  if (!std::exchange(is_whole_, false)) return std::nullopt;
  return line;
}

void TerminalInput::take(char c, std::string& line) {
  if (skips_escape(c)) return;
  if (c == '\x7f' || c == '\b' || is(c, VERASE)) {
    size_t begin = line.empty() ? 0 : line.size() - 1;
    while (begin > 0 && (line[begin] & 0xc0) == 0x80) --begin;
    erase(begin, line);
  } else if (is(c, VKILL)) {
    erase(0, line);
  } else if (is(c, VWERASE)) {
    const size_t end = line.find_last_not_of(" \t");
    const size_t space =
        end == std::string::npos ? end : line.find_last_of(" \t", end);
    erase(space == std::string::npos ? 0 : space + 1, line);
  } else if (c == '\t' || static_cast<unsigned char>(c) >= ' ') {
    line += c;
    echo(c == '\t' ? ' ' : c);
  }
}

// What is pasted comes from anywhere, too: shown once a character is whole.
void TerminalInput::echo(char c) {
  const auto lead = [](char byte) { return (byte & 0xc0) == 0xc0; };
  partial_ += c;
  const auto first = static_cast<unsigned char>(partial_[0]);
  const size_t length = !lead(partial_[0]) ? 1
                        : first >= 0xf0    ? 4
                        : first >= 0xe0    ? 3
                                           : 2;
  if (partial_.size() < length && (partial_.size() == 1 || !lead(c))) return;
  shown_ += screen_text(std::exchange(partial_, {}));
}

void TerminalInput::erase(size_t begin, std::string& line) {
  for (size_t width = 0, all = display_width(screen_text(line.substr(begin)));
       width < all; ++width) {
    shown_ += "\b \b";
  }
  line.resize(begin);
}

// Onto the terminal that is typed on, wherever stdout goes.
void TerminalInput::show(const std::string& text) {
  shown_ += text;
  std::string_view rest = shown_;
  while (!rest.empty()) {
    const ssize_t n = ::write(STDIN_FILENO, rest.data(), rest.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;  // opened for reading alone: nothing is shown
    rest.remove_prefix(static_cast<size_t>(n));
  }
  shown_.clear();
}

}  // namespace selfalign::cli
