// SPDX-License-Identifier: Apache-2.0
#include "base/progress.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <utility>

#include "base/error.h"
#include "base/json.h"
#include "base/log.h"
#include "base/log_line.h"
#include "base/screen.h"

namespace selfalign {
namespace {

std::atomic<bool> shown{true};

using Seconds = std::chrono::duration<double>;

// Between two prints: short on a terminal, where the line is rewritten.
constexpr Seconds kTerminalInterval{0.2};
constexpr Seconds kPlainInterval{15};

bool on_terminal() {
  static const bool terminal = rewrites_lines(STDERR_FILENO);
  return terminal && !log_json();
}

}  // namespace

void set_progress_shown(bool on) { shown = on; }

std::string time_text(double seconds) {
  const auto s = static_cast<long long>(std::llround(std::max(seconds, 0.0)));
  char text[40];
  if (s >= 3600) {
    std::snprintf(text, sizeof(text), "%lldh%02lldm", s / 3600, s / 60 % 60);
  } else if (s >= 60) {
    std::snprintf(text, sizeof(text), "%lldm%02llds", s / 60, s % 60);
  } else {
    std::snprintf(text, sizeof(text), "%llds", s);
  }
  return text;
}

std::string rate_text(double rate) {
  char text[40];
  std::snprintf(text, sizeof(text), rate < 10 ? "%.2f" : "%.0f", rate);
  return text;
}

Progress::Progress(std::string title, uint64_t total, std::string unit)
    : title_(std::move(title)),
      total_(total),
      unit_(std::move(unit)),
      began_(std::chrono::steady_clock::now()),
      last_print_(began_) {}

Progress::~Progress() {
  if (!printed_ && done_ == start_) return;
  try {
    print(true);
  } catch (const std::exception&) {
    // A destructor has nobody to tell; only the last line is lost.
    return;
  }
}

void Progress::update(uint64_t done, const std::string& note) {
  done_ = done;
  note_ = note;
  const auto now = std::chrono::steady_clock::now();
  const Seconds interval = on_terminal() ? kTerminalInterval : kPlainInterval;
  if (now - last_print_ < interval) return;
  last_print_ = now;
  print(false);
}

void Progress::set_start(uint64_t done, double seconds) {
  start_ = done;
  done_ = done;
  start_s_ = seconds;
  began_ = std::chrono::steady_clock::now();
}

void Progress::print(bool last) {
  if (!shown) return;
  printed_ = true;
  const Seconds passed =
      std::chrono::steady_clock::now() - began_ + Seconds(start_s_);
  const uint64_t before = start_s_ > 0.0 ? 0 : start_;
  const uint64_t fresh = done_ > before ? done_ - before : 0;
  const double rate =
      passed.count() > 0 ? static_cast<double>(fresh) / passed.count() : 0;
  const uint64_t left = total_ > done_ ? total_ - done_ : 0;
  const bool known = left > 0 && rate > 0;
  const double eta_s = known ? static_cast<double>(left) / rate : 0;
  std::string text = str(title_, ": ", done_);
  if (total_ > 0) text += str("/", total_);
  text +=
      str(" ", unit_, ", ", rate_text(rate), "/s, ", time_text(passed.count()));
  if (known) text += str(", ", time_text(eta_s), " to go");
  if (!note_.empty()) text += str("; ", note_);
  if (on_terminal() && !last) {
    log_transient(text);
    return;
  }
  Json event{{"event", "progress"},       {"title", title_}, {"done", done_},
             {"total", total_},           {"unit", unit_},   {"per_s", rate},
             {"passed_s", passed.count()}};
  if (known) event["eta_s"] = eta_s;
  if (!note_.empty()) event["note"] = note_;
  log_event(text, dump_json(event));
}

}  // namespace selfalign
