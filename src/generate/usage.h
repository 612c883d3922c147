// SPDX-License-Identifier: Apache-2.0
// What a model behind a server was asked for, in the tokens it counted, and
// what that costs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/record.h"
#include "generate/generator.h"

namespace selfalign::generate {

// Of a million tokens, in any currency; 0 where it is not known.
struct Price {
  double input = 0.0;
  double output = 0.0;
  bool is_known() const { return input > 0 || output > 0; }
  bool operator==(const Price&) const = default;
};
// "2.5,10": input and output. Error kUsage otherwise.
Price price_from_text(const std::string& text);

struct Usage {
  int64_t num_requests = 0;
  int64_t num_prompt_tokens = 0;
  int64_t num_tokens = 0;     // answered; thoughts that are billed included
  int64_t num_estimated = 0;  // requests whose tokens the server did not count
  void add(const Completion& completion);
  double cost(const Price& price) const;

  static void describe(auto& visit, auto& self) {
    visit("requests", self.num_requests);
    visit("prompt_tokens", self.num_prompt_tokens);
    visit("completion_tokens", self.num_tokens);
    visit("estimated_requests", self.num_estimated);
  }
};

struct Cost {
  double price_input = 0.0;
  double price_output = 0.0;
  double cost = 0.0;

  static void describe(auto& visit, auto& self) {
    visit("price_input", self.price_input);
    visit("price_output", self.price_output);
    visit("cost", self.cost);
  }
};

struct UsageReport {
  Usage usage;
  std::optional<Cost> cost;  // where the price is known

  static void describe(auto& visit, auto& self) {
    Usage::describe(visit, self.usage);
    visit.inlined(self.cost);
  }
};
UsageReport usage_report(const Usage& usage, const Price& price);

// "12 requests, 3,400 tokens in, 512 out, cost 0.0137"
std::string usage_text(const UsageReport& report);

}  // namespace selfalign::generate
