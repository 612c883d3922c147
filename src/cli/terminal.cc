// SPDX-License-Identifier: Apache-2.0
#include "cli/terminal.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "base/error.h"
#include "base/file.h"
#include "base/screen.h"
#include "text/plain_text.h"
#include "text/words.h"

namespace selfalign::cli {
namespace {

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
    ::unsetenv("SELFALIGN_REMOTE_KEY");
    ::unsetenv("SELFALIGN_API_KEY");
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
  return std::clamp<size_t>(screen_width(STDOUT_FILENO), 40, 100);
}

std::string styled(Style style, std::string_view text) {
  static const bool shows = takes_escapes(STDOUT_FILENO);
  if (shows) {
    return str(kStyleBegin, static_cast<int>(style), text, kStyleEnd);
  }
  constexpr const char* kBefore[] = {"", "", ">>", "[-", "{+"};
  constexpr const char* kAfter[] = {"", "", "<<", "-]", "+}"};
  const auto place = static_cast<size_t>(style);
  return str(kBefore[place], text, kAfter[place]);
}

KeyReader::KeyReader() {
  if (::isatty(STDIN_FILENO) == 1) {
    terminal_.emplace();
  } else {
    lines_.emplace();
  }
}

std::optional<char> KeyReader::next() {
  if (terminal_) return terminal_->key();
  const auto line = lines_->next_filled();
  if (!line) return std::nullopt;
  text::require_line(*line, lines_->where());
  const std::string_view text = text::trim(*line);
  rest_ = text::trim(text.substr(1));
  return text[0];
}

std::string KeyReader::ask(const std::string& prompt) {
  if (!terminal_) return std::move(rest_);
  write_out(prompt);
  return terminal_->line().value_or("");
}

std::optional<std::string> KeyReader::edit(const std::string& text) {
  const std::string command = editor();
  if (command.empty() || !terminal_) return std::nullopt;
  const ScratchFolder folder;
  const std::string path = folder.path() + "/answer.txt";
  write_file_atomic(path, text + "\n");
  bool edited = false;
  terminal_->outside([&] { edited = run_editor(command, path); });
  if (!edited) return std::nullopt;
  return read_file(path);
}

}  // namespace selfalign::cli
