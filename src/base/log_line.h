// SPDX-License-Identifier: Apache-2.0
// Lines of messages for those who write them otherwise: one that the next,
// of whatever kind, writes over, and one that is written by a signal handler.
#pragma once

#include <string>

namespace selfalign {

// On stderr where it rewrites_lines() (screen.h), cut to its width. May be
// called from any thread.
void log_transient(const std::string& text);

// What log_error() would write now, with the line break.
std::string error_line(const std::string& text);

}  // namespace selfalign
