// SPDX-License-Identifier: Apache-2.0
#include "cli/lines.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <string_view>
#include <utility>

#include "base/disk_full.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/screen.h"

namespace selfalign::cli {
namespace {

constexpr size_t kMaxLineBytes = size_t{64} << 20;
constexpr size_t kReadBytes = size_t{64} << 10;
// A signal that comes between the check and the wait is seen after this time.
constexpr int kPollMs = 200;

bool shows_styles() {
  static const bool shows = takes_escapes(STDOUT_FILENO);
  return shows;
}

void write_all(std::string_view rest) {
  while (!rest.empty()) {
    const ssize_t n = ::write(STDOUT_FILENO, rest.data(), rest.size());
    if (n >= 0) {
      rest.remove_prefix(static_cast<size_t>(n));
    } else if (errno == EPIPE) {
      throw BrokenPipe();
    } else if (errno != EINTR) {
      const bool full = is_disk_full(errno);
      throw Error(full ? ErrorKind::kResources : ErrorKind::kFailed,
                  str("stdout: cannot write ", rest.size(),
                      " bytes: ", std::strerror(errno),
                      full ? "; free some space" : "; check where it goes"));
    }
  }
}

// Safe text, but for styles: text from anywhere that holds their marks can ask
// for no more than one of them.
std::string with_styles(std::string_view text) {
  constexpr char kMarks[] = {kStyleBegin, kStyleEnd, '\0'};
  std::string out;
  while (!text.empty()) {
    const size_t mark = std::min(text.find_first_of(kMarks), text.size());
    out += screen_text(text.substr(0, mark));
    text.remove_prefix(mark);
    if (text.empty()) break;
    const size_t style = text.size() > 1 ? size_t(text[1]) - '0' : SIZE_MAX;
    if (text[0] == kStyleEnd) {
      out += "\033[0m";
      text.remove_prefix(1);
    } else if (style < std::size(kStyleCodes)) {
      out += str("\033[", kStyleCodes[style], "m");
      text.remove_prefix(2);
    } else {
      out += screen_text(text.substr(0, 1));
      text.remove_prefix(1);
    }
  }
  return out;
}

}  // namespace

LineReader::LineReader(int descriptor, std::string name)
    : descriptor_(descriptor), name_(std::move(name)) {
  if (descriptor == STDIN_FILENO && ::isatty(STDIN_FILENO) == 1) {
    terminal_.emplace();
  }
}

void LineReader::ask_for(const std::string& what) const {
  if (terminal_) log_info(what + "; Ctrl-D on an empty line ends");
}

bool LineReader::fill(int timeout_ms) {
  pollfd entry{descriptor_, POLLIN, 0};
  if (::poll(&entry, 1, timeout_ms) <= 0) return false;
  buffer_.erase(0, begin_);
  scanned_ -= begin_;
  begin_ = 0;
  const size_t old_size = buffer_.size();
  buffer_.resize(old_size + kReadBytes);
  const ssize_t n = ::read(descriptor_, buffer_.data() + old_size, kReadBytes);
  const int problem = errno;
  buffer_.resize(old_size + (n > 0 ? static_cast<size_t>(n) : 0));
  if (n == 0) at_end_ = true;
  if (n < 0 && problem != EINTR && problem != EAGAIN) {
    throw Error(ErrorKind::kInput,
                str("cannot read lines of text from ", name_, ": ",
                    std::strerror(problem), "; check what is piped in"));
  }
  return n >= 0;
}

bool LineReader::ready() {
  if (terminal_) return at_end_ || terminal_->line_ready();
  while (true) {
    const size_t end = buffer_.find('\n', scanned_);
    if (end != std::string::npos || at_end_ || interrupted()) return true;
    scanned_ = buffer_.size();
    if (!fill(0)) return false;
  }
}

std::optional<std::string> LineReader::next() {
  std::optional<std::string> line;
  if (!terminal_) {
    line = next_piped();
  } else if (!at_end_) {
    line = terminal_->line();
    at_end_ = !line && !interrupted();  // Ctrl-D: there is no more to wait for
  }
  if (line) ++line_;
  return line;
}

std::optional<std::string> LineReader::next_piped() {
  size_t end = std::string::npos;
  while (!interrupted()) {
    end = buffer_.find('\n', scanned_);
    if (end != std::string::npos || at_end_) break;
    scanned_ = buffer_.size();
    if (buffer_.size() - begin_ > kMaxLineBytes) {
      throw Error(ErrorKind::kInput,
                  str(name_, " line ", line_ + 1, ": expected at most ",
                      kMaxLineBytes, " bytes, found more; split the line"));
    }
    fill(kPollMs);
  }
  if (interrupted()) return std::nullopt;
  const bool last = end == std::string::npos;
  if (last && begin_ == buffer_.size()) return std::nullopt;
  std::string line =
      buffer_.substr(begin_, (last ? buffer_.size() : end) - begin_);
  begin_ = last ? buffer_.size() : end + 1;
  scanned_ = begin_;
  if (!line.empty() && line.back() == '\r') line.pop_back();
  return line;
}

std::optional<std::string> LineReader::next_filled() {
  while (std::optional<std::string> line = next()) {
    if (line->find_first_not_of(" \t") != std::string::npos) return line;
  }
  return std::nullopt;
}

std::string LineReader::where() const { return str(name_, " line ", line_); }

void write_out(const std::string& text) {
  write_all(shows_styles() ? with_styles(text) : screen_text(text));
}

void write_data(const std::string& data) {
  write_all(::isatty(STDOUT_FILENO) == 1 ? screen_text(data) : data);
}

void write_json(const Json& value) {
  write_all(screen_json(dump_json(value)) + "\n");
}

void write_result(bool as_json, const Json& json, const std::string& text) {
  as_json ? write_json(json) : write_out(text);
}

void clear_screen() {
  if (shows_styles()) write_all("\033[H\033[2J");
}

}  // namespace selfalign::cli
