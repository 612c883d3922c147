// SPDX-License-Identifier: Apache-2.0
// Lines of stdin and stdout. Reading never blocks a signal out and can be
// asked whether a line is there, so that a running batch is not held up by a
// slow writer. On a terminal lines are edited here (terminal_input.h), so that
// one may have any length. A reader of our output that went away ends the
// program quietly.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/json.h"
#include "cli/terminal_input.h"

namespace selfalign::cli {

// Thrown when stdout's reader went away: nobody is left to tell.
struct BrokenPipe {};

class LineReader {
 public:
  // `name` stands in error texts; the descriptor stays the caller's.
  // What a person types on stdin from then on is not lost, so a reader comes
  // before all that takes long.
  explicit LineReader(int descriptor = 0, std::string name = "stdin");

  // The next line without its line break ("\n" or "\r\n"); none at the end or
  // once an interrupt came in. Waits. A last line needs no line break. A line
  // over 64 MiB is an Error kInput.
  std::optional<std::string> next();
  // As next(), skipping lines of white space only.
  std::optional<std::string> next_filled();
  // True if next() would not wait.
  bool ready();

  bool on_terminal() const { return terminal_.has_value(); }
  // Tells a person at a terminal what the lines are, and how they end.
  void ask_for(const std::string& what) const;

  // "stdin line 3": of the line that next() returned last.
  std::string where() const;

 private:
  bool fill(int timeout_ms);  // false: nothing came within the time
  // The next line as next() gives it, of what is no terminal.
  std::optional<std::string> next_piped();

  std::optional<TerminalInput> terminal_;
  int descriptor_;
  std::string name_;
  std::string buffer_;
  size_t begin_ = 0;    // of what is not returned yet
  size_t scanned_ = 0;  // no line break before this place
  int64_t line_ = 0;
  bool at_end_ = false;
};

// Writes text to stdout at once, made safe for a terminal (screen_text of
// base/screen.h) wherever it goes. What stands between kStyleBegin with a digit
// and kStyleEnd gets a style (terminal.h) where stdout takes_escapes(). Throws
// BrokenPipe, or Error kResources where the disk behind it is full.
void write_out(const std::string& text);
// The same of data for another program, such as CSV: as it is, but on a
// terminal.
void write_data(const std::string& data);
// One JSON value and a line break.
void write_json(const Json& value);
// The one or the other.
void write_result(bool as_json, const Json& json, const std::string& text);
// An empty screen, where stdout takes_escapes().
void clear_screen();

inline constexpr char kStyleBegin = '\x01';
inline constexpr char kStyleEnd = '\x02';
inline constexpr const char* kStyleCodes[] = {"1", "2", "1;7", "31;9", "32"};

}  // namespace selfalign::cli
