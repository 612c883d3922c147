// A line of messages that the next one, of whatever kind, writes over.
#pragma once

#include <string>

namespace selfalign {

// On stderr where it rewrites_lines() (screen.h), cut to its width. May be
// called from any thread.
void log_transient(const std::string& text);

}  // namespace selfalign
