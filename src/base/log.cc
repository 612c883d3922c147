#include "base/log.h"

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <mutex>
#include <string_view>

#include "base/json.h"

namespace selfalign {
namespace {

std::atomic<LogLevel> min_level{LogLevel::kInfo};
std::atomic<bool> as_json{false};

double time_s() {
  const std::chrono::duration<double> now =
      std::chrono::system_clock::now().time_since_epoch();
  return std::round(now.count() * 1e3) / 1e3;
}

// One line, not mixed with another thread's. Nothing can be done about a
// closed stderr, so failures are ignored.
void write_line(const std::string& line) {
  static std::mutex mutex;
  static const bool terminal = ::isatty(STDERR_FILENO) == 1;
  // On a terminal a progress line may stand where this line goes: wipe it.
  const std::string whole = (terminal ? "\r\033[K" : "") + line + "\n";
  std::string_view rest = whole;
  const std::lock_guard<std::mutex> lock(mutex);
  while (!rest.empty()) {
    const ssize_t n = ::write(STDERR_FILENO, rest.data(), rest.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    rest.remove_prefix(static_cast<size_t>(n));
  }
}

void log(LogLevel level, const char* name, const std::string& text) {
  if (level < min_level.load()) return;
  if (as_json.load()) {
    write_line(dump_json({{"event", "message"},
                          {"time_s", time_s()},
                          {"level", name},
                          {"text", text}}));
  } else if (level == LogLevel::kInfo) {
    write_line(text);
  } else {
    write_line(std::string(name) + ": " + text);
  }
}

}  // namespace

void set_log_level(LogLevel level) { min_level = level; }
void set_log_json(bool on) { as_json = on; }
bool log_json() { return as_json; }

void log_debug(const std::string& text) {
  log(LogLevel::kDebug, "debug", text);
}
void log_info(const std::string& text) { log(LogLevel::kInfo, "info", text); }
void log_warning(const std::string& text) {
  log(LogLevel::kWarning, "warning", text);
}
void log_error(const std::string& text) {
  log(LogLevel::kError, "error", text);
}

void log_event(const std::string& text, const std::string& event_json) {
  write_line(as_json.load() ? event_json : text);
}

}  // namespace selfalign
