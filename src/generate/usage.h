// SPDX-License-Identifier: Apache-2.0
// What a model behind a server was asked for, in the tokens it counted, and
// what that costs.
#pragma once

#include <cstdint>
#include <string>

#include "base/json.h"
#include "generate/generator.h"

namespace selfalign::generate {

// Of a million tokens, in any currency; 0 where it is not known.
struct Price {
  double input = 0.0;
  double output = 0.0;
  bool is_known() const { return input > 0 || output > 0; }
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
};

// {"requests", "prompt_tokens", "completion_tokens", "estimated_requests",
// "price_input", "price_output", "cost"}; the last three where the price is
// known.
Json usage_json(const Usage& usage, const Price& price);

// "12 requests, 3,400 tokens in, 512 out, cost 0.0137", of usage_json.
std::string usage_text(const Json& usage);

}  // namespace selfalign::generate
