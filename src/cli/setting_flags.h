// SPDX-License-Identifier: Apache-2.0
// Flags made of settings (base/settings.h).
#pragma once

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/joined.h"
#include "base/number.h"
#include "base/settings.h"
#include "base/shown.h"
#include "cli/options.h"

namespace selfalign::cli {

class FlagMaker {
 public:
  explicit FlagMaker(CLI::App& command) : command_(command) {}

  template <typename Number>
  void operator()(const Setting& of, Number& value,
                  const Range<Number>& range) {
    add(of, value)->check(in_range(range))->capture_default_str();
  }
  // Without a default: what is not given stays with what there is.
  template <typename Number>
  void operator()(const Setting& of, std::optional<Number>& value,
                  const Range<Number>& range) {
    add(of, value)->check(in_range(range));
  }
  void operator()(const Setting& of, std::string& text, AnyText /*limits*/) {
    add(of, text);
  }
  void operator()(const Setting& of, std::string& name, const OneOf& limits) {
    add(of, name)->check(one_of(limits.names))->capture_default_str();
  }
  void operator()(const Setting& of, std::vector<std::string>& names,
                  const SomeOf& limits) {
    add(of, names)
        ->delimiter(',')
        ->check(one_of(limits.names))
        ->capture_default_str();
  }
  // "q_proj=8,o_proj=16".
  template <typename Number>
  void operator()(const Setting& of, std::map<std::string, Number>& numbers,
                  const NumberOf<Number>& limits) {
    command_
        .add_option_function<std::vector<std::string>>(
            flag_of(of),
            [&numbers, limits](const std::vector<std::string>& pairs) {
              numbers.clear();
              for (const std::string& pair : pairs) {
                const size_t at = pair.find('=');
                const auto value = parse_number<Number>(
                    at == std::string::npos ? "" : pair.substr(at + 1));
                const std::string name = pair.substr(0, at);
                if (!value || !limits.range.holds(*value) ||
                    std::find(limits.names.begin(), limits.names.end(), name) ==
                        limits.names.end()) {
                  throw CLI::ValidationError(
                      str("expected NAME=NUMBER with a name among ",
                          joined(limits.names), " and a number from ",
                          limits.range.low, " to ", limits.range.high,
                          ", found ", shown(pair)));
                }
                numbers[name] = *value;
              }
            },
            str(of.help, " NAME=NUMBER,..."))
        ->delimiter(',');
  }
  void operator()(const Setting& of, bool& value, AnyValue /*limits*/) {
    command_.add_flag(flag_of(of), value, of.help);
  }
  bool shows(bool /*is_used*/) { return true; }
  bool later(bool /*is_other*/) { return true; }
  void operator()(const Setting& of, uint64_t& seed, AnyValue /*limits*/) {
    add(of, seed)->capture_default_str();
  }

 private:
  template <typename Value>
  CLI::Option* add(const Setting& of, Value& value) {
    return command_.add_option(flag_of(of), value, of.help);
  }
  static std::string flag_of(const Setting& of) {
    std::string name = of.flag;
    if (name.empty()) {
      name = str("--", of.key);
      std::replace(name.begin(), name.end(), '_', '-');
    }
    return name;
  }
  CLI::App& command_;
};

}  // namespace selfalign::cli
