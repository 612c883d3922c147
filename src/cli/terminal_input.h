// SPDX-License-Identifier: Apache-2.0
// What a person types on a terminal, byte by byte. The terminal's own line
// editing holds 4,095 bytes and loses the rest of a longer line without a word,
// so lines are edited here.
#pragma once

#include <termios.h>

#include <cstddef>
#include <functional>
#include <optional>
#include <string>

namespace selfalign::cli {

class TerminalInput {
 public:
  // As long as it lives stdin, a terminal, neither echoes nor keeps lines back;
  // what is typed or pasted before it is asked for is not lost. One at a time.
  TerminalInput();
  ~TerminalInput();
  TerminalInput(const TerminalInput&) = delete;
  TerminalInput& operator=(const TerminalInput&) = delete;

  // The next key that shows a character; none at Ctrl-D, at the end of the
  // input or after an interrupt.
  std::optional<char> key();
  // The next line, of any length up to 64 MiB (Error kInput), shown as it is
  // typed. Backspace takes a character back, Ctrl-W a word, Ctrl-U all; keys
  // that move are ignored. None as for key(); Ctrl-D counts on an empty line.
  std::optional<std::string> line();
  // True if line() would not wait.
  bool line_ready();
  // Gives the terminal back while `fn` runs.
  void outside(const std::function<void()>& fn);

 private:
  // Bytes that are there or, if it waits, come; false where key() has none.
  bool fill(bool waits);
  std::optional<char> next(bool waits);
  bool take_line(bool waits);  // false: more of it is to come
  void take(char c, std::string& line);
  void echo(char c);
  void erase(size_t begin, std::string& line);
  bool skips_escape(char c);
  void show(const std::string& text);
  void apply() const;
  bool is(char c, int which) const;

  termios before_{};
  std::string buffer_;
  size_t begin_ = 0;     // of what is not taken yet
  bool at_end_ = false;  // of the input
  std::string line_;     // as far as it is typed
  bool is_whole_ = false;
  bool is_closed_ = false;  // by Ctrl-D in place of a line
  std::string shown_;       // not written yet
  std::string partial_;     // of a character that is to be shown
  char escape_ = '\0';      // last byte of an escape sequence that is under way
};

}  // namespace selfalign::cli
