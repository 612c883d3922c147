// SPDX-License-Identifier: Apache-2.0
// A run's eta as a person reads it.
#include <ctime>
#include <iomanip>
#include <sstream>

#include "base/error.h"
#include "base/progress.h"
#include "inspect/eta.h"

namespace selfalign::inspect {
namespace {

// Longest time without a completion that is nothing to wonder at.
constexpr double kSilenceS = 300.0;

std::string clock_text(double time_s) {
  const auto seconds = static_cast<std::time_t>(time_s);
  std::tm local{};
  if (localtime_r(&seconds, &local) == nullptr) return "?";
  char text[32];
  return std::strftime(text, sizeof(text), "%F %T", &local) > 0 ? text : "?";
}

// "" where there is none.
std::string rate_in(double rate, const char* unit) {
  return rate > 0.0 ? rate_text(rate) + unit : "";
}

std::string left_text(const StepEta& step) {
  if (step.finished) return "done";
  if (step.total == 0) return "";
  if (step.left_s < 0.0) return "?";
  // Before its first row a step is expected to write all it may.
  const bool known = step.units_per_s > 0.0 && !step.at_most;
  return (known ? "" : "at most ") + time_text(step.left_s) + " to go";
}

}  // namespace

std::string state_text(const RunEta& eta, double now_s) {
  if (eta.done) return "done";
  const double silence = now_s - eta.last_s;
  if (eta.writer) {
    std::string text = "running as " + *eta.writer;
    if (eta.last_s > 0.0 && silence > kSilenceS) {
      text += ", but nothing came for " + time_text(silence);
    }
    return text;
  }
  if (eta.last_s == 0.0) return "stopped before the first row";
  return str("stopped since ", clock_text(eta.last_s), " (", time_text(silence),
             " ago)");
}

std::string eta_text(const RunEta& eta, double now_s) {
  std::ostringstream out;
  for (const StepEta& step : eta.steps) {
    if (step.total == 0 && step.done == 0) continue;
    const std::string done = str(step.done, "/", step.total, " ", step.unit);
    out << "  " << std::left << std::setw(20) << step.step << std::setw(24)
        << done << std::right << std::setw(9) << rate_in(step.units_per_s, "/s")
        << std::setw(13) << rate_in(step.tokens_per_s, " tok/s") << "  "
        << left_text(step) << '\n';
  }
  out << "  " << state_text(eta, now_s);
  if (!eta.done) {
    out << "; " << time_text(eta.left_s) << " to go at these rates";
    if (!eta.all_known) out << ", without the steps marked ?";
  }
  out << '\n';
  return out.str();
}

}  // namespace selfalign::inspect
