// SPDX-License-Identifier: Apache-2.0
// Flags made of settings (base/settings.h).
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "base/settings.h"
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
  void operator()(const Setting& of, std::string& name, const OneOf& limits) {
    add(of, name)->check(one_of(limits.names))->capture_default_str();
  }
  void operator()(const Setting& of, uint64_t& seed, AnyValue /*limits*/) {
    add(of, seed)->capture_default_str();
  }

 private:
  template <typename Value>
  CLI::Option* add(const Setting& of, Value& value) {
    std::string name = of.flag;
    if (name.empty()) {
      name = str("--", of.key);
      std::replace(name.begin(), name.end(), '_', '-');
    }
    return command_.add_option(name, value, of.help);
  }
  CLI::App& command_;
};

}  // namespace selfalign::cli
