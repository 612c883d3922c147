// SPDX-License-Identifier: Apache-2.0
// What options of the command line have in common: ranges, and paths in which
// "~" is the home folder.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/ranges.h"

namespace selfalign::cli {

// A number within the range; "nan" is in none.
template <typename Number>
CLI::Validator in_range(const Range<Number>& range) {
  const auto check = [range](const std::string& text) -> std::string {
    Number value{};
    if (CLI::detail::lexical_cast(text, value) && range.holds(value)) return "";
    return str("expected a number from ", range.low, " to ", range.high,
               ", found \"", text, "\"");
  };
  return {check, str("in [", range.low, " - ", range.high, "]"), "range"};
}

// One of `names`.
template <typename Names>
CLI::Validator one_of(const Names& names) {
  return CLI::IsMember(std::vector<std::string>(names.begin(), names.end()));
}

// Makes all options that take a path, of all subcommands, read it as user_path
// does; of NAME=FOLDER the part behind the sign. The shell does so only where
// "~" begins a word.
void expand_home_folders(CLI::App& app);

}  // namespace selfalign::cli
