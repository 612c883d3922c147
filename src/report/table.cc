// SPDX-License-Identifier: Apache-2.0
#include "report/table.h"

#include <algorithm>
#include <cstdio>
#include <map>

#include "base/error.h"

namespace selfalign::report {
namespace {

std::string figure(const eval::Metric& metric) {
  std::string text = three_digits(metric.value);
  if (!metric.interval.empty()) {
    text += " [" + three_digits(metric.low) + ", " + three_digits(metric.high) +
            "]";
  }
  return text;
}

const eval::Metric* find(const eval::TaskResult& result,
                         const std::string& name) {
  for (const eval::Metric& metric : result.metrics) {
    if (metric.name == name) return &metric;
  }
  return nullptr;
}

std::string self_tests(const eval::TaskResult& result) {
  std::string text;
  size_t num_passed = 0;
  for (const eval::SelfTest& test : result.self_tests) {
    num_passed += test.passed;
    if (test.passed) continue;
    text += "  FAILED " + result.subject + ", " + test.name + ": expected " +
            test.expected + ", found " + test.found + "\n";
  }
  return str("  ", result.subject, ": ", num_passed, " of ",
             result.self_tests.size(), " self-tests passed, ",
             result.num_failures, " items without an outcome\n", text);
}

}  // namespace

std::string three_digits(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3f", value);
  return text;
}

std::string aligned_text(const std::vector<TextRow>& lines) {
  std::vector<size_t> widths;
  for (const TextRow& line : lines) {
    widths.resize(std::max(widths.size(), line.size()));
    for (size_t i = 0; i < line.size(); ++i) {
      widths[i] = std::max(widths[i], line[i].size());
    }
  }
  std::string text;
  for (const TextRow& line : lines) {
    std::string row;
    for (size_t i = 0; i < line.size(); ++i) {
      row += "  " + line[i] + std::string(widths[i] - line[i].size(), ' ');
    }
    text += row.substr(0, row.find_last_not_of(' ') + 1) + "\n";
  }
  return text;
}

std::string results_table(const std::string& title,
                          const std::vector<eval::TaskResult>& results) {
  if (results.empty()) return "";
  std::vector<TextRow> lines = {{"", "chance"}};
  for (const eval::TaskResult& result : results)
    lines[0].push_back(result.subject);
  std::map<std::string, std::string> named;  // metrics by their note
  for (const eval::Metric& metric : results[0].metrics) {
    TextRow line = {metric.name,
                    metric.chance ? three_digits(*metric.chance) : ""};
    for (const eval::TaskResult& result : results) {
      const eval::Metric* found = find(result, metric.name);
      line.push_back(found == nullptr ? "" : figure(*found));
    }
    lines.push_back(line);
    if (metric.note.empty() || metric.name.find('.') != std::string::npos) {
      continue;
    }
    std::string& names = named[metric.note];
    names += (names.empty() ? "" : ", ") + metric.name;
  }
  std::string text = title + "\n" + aligned_text(lines);
  for (const auto& [note, names] : named) {
    text += "  " + names + ": " + note + "\n";
  }
  for (const std::string& line : eval::decoding_lines(results)) {
    text += "  " + line + "\n";
  }
  for (const eval::TaskResult& result : results) text += self_tests(result);
  return text + "\n";
}

}  // namespace selfalign::report
