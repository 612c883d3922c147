// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <mutex>
#include <string_view>

#include "base/json.h"
#include "base/log_line.h"
#include "base/screen.h"

namespace selfalign {
namespace {

std::atomic<LogLevel> min_level{LogLevel::kInfo};
std::atomic<bool> as_json{false};

double time_s() {
  const std::chrono::duration<double> now =
      std::chrono::system_clock::now().time_since_epoch();
  return std::round(now.count() * 1e3) / 1e3;
}

std::mutex mutex;            // of stderr
size_t transient_width = 0;  // columns of the line that is written over next

// Nothing can be done about a closed stderr, so failures are ignored.
void write_all(std::string_view rest) {
  while (!rest.empty()) {
    const ssize_t n = ::write(STDERR_FILENO, rest.data(), rest.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    rest.remove_prefix(static_cast<size_t>(n));
  }
}

// Safe for a terminal, or JSON.
std::string line_of(const char* name, const std::string& text) {
  if (as_json.load()) {
    return screen_json(dump_json({{"event", "message"},
                                  {"time_s", time_s()},
                                  {"level", name},
                                  {"text", text}}));
  }
  return std::string(name) + ": " + screen_text(text);
}

// One line, not mixed with another thread's.
void write_line(const std::string& line) {
  const std::lock_guard<std::mutex> lock(mutex);
  std::string whole;
  if (transient_width > 0) {
    whole = "\r" + std::string(transient_width, ' ') + "\r";
  }
  transient_width = 0;
  write_all(whole + line + "\n");
}

void log(LogLevel level, const char* name, const std::string& text) {
  if (level < min_level.load()) return;
  const bool plain = level == LogLevel::kInfo && !as_json.load();
  write_line(plain ? screen_text(text) : line_of(name, text));
}

}  // namespace

void set_log_level(LogLevel level) { min_level = level; }
void set_log_json(bool on) { as_json = on; }
bool log_json() { return as_json; }

void log_info(const std::string& text) { log(LogLevel::kInfo, "info", text); }
void log_warning(const std::string& text) {
  log(LogLevel::kWarning, "warning", text);
}
void log_error(const std::string& text) {
  log(LogLevel::kError, "error", text);
}

std::string error_line(const std::string& text) {
  return line_of("error", text) + "\n";
}

void log_transient(const std::string& text) {
  const std::lock_guard<std::mutex> lock(mutex);
  // The last column stays free: some terminals go to the next line there.
  const std::string line =
      cut_to_width(screen_text(text), screen_width(STDERR_FILENO) - 1);
  const size_t width = display_width(line);
  const size_t left = transient_width > width ? transient_width - width : 0;
  // Blanks over the rest of a longer line, and back behind this one.
  write_all("\r" + line + std::string(left, ' ') + std::string(left, '\b'));
  transient_width = width;
}

void log_event(const std::string& text, const std::string& event_json) {
  write_line(as_json.load() ? screen_json(event_json) : screen_text(text));
}

}  // namespace selfalign
