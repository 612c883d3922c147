// SPDX-License-Identifier: Apache-2.0
// Messages for the person, on stderr. stdout is for data only. What they hold
// may come from anywhere: it is made safe for a terminal here (screen.h).
// All functions may be called from any thread.
#pragma once

#include <string>

namespace selfalign {

enum class LogLevel { kInfo, kWarning, kError };

// Lines below this level are dropped; the default is kInfo.
void set_log_level(LogLevel level);

// With `on`, each line is a JSON object {"event","time_s","level","text"}.
void set_log_json(bool on);
bool log_json();

void log_info(const std::string& text);
void log_warning(const std::string& text);
void log_error(const std::string& text);

// One line written whole, whatever the level; with JSON on, `event_json` (an
// object's text) is written in place of `text`. No newline at the end of
// either.
void log_event(const std::string& text, const std::string& event_json);

}  // namespace selfalign
