// SPDX-License-Identifier: Apache-2.0
#include "generate/usage.h"

#include <cmath>
#include <iomanip>
#include <optional>
#include <sstream>

#include "base/error.h"
#include "base/number.h"

namespace selfalign::generate {
namespace {

constexpr double kMaxPrice = 1e9;

std::optional<double> price_in(const std::string& text) {
  return parse_number<double>(text, 0, kMaxPrice);
}

std::string grouped(int64_t number) {
  std::string digits = std::to_string(number);
  for (auto at = int(digits.size()) - 3; at > 0; at -= 3) {
    digits.insert(static_cast<size_t>(at), ",");
  }
  return digits;
}

}  // namespace

Price price_from_text(const std::string& text) {
  const size_t comma = text.find(',');
  const auto input = price_in(text.substr(0, comma));
  const auto output =
      comma == std::string::npos ? input : price_in(text.substr(comma + 1));
  if (!input || !output || comma == std::string::npos) {
    throw Error(ErrorKind::kUsage,
                str("price: expected IN,OUT of a million tokens, such as "
                    "2.5,10, found '",
                    text.substr(0, 40), "'; correct it"));
  }
  return {*input, *output};
}

void Usage::add(const Completion& completion) {
  ++num_requests;
  num_prompt_tokens += completion.num_prompt_tokens;
  num_tokens += completion.num_tokens;
  num_estimated += completion.is_estimated ? 1 : 0;
}

double Usage::cost(const Price& price) const {
  return (double(num_prompt_tokens) * price.input +
          double(num_tokens) * price.output) /
         1e6;
}

Json usage_json(const Usage& usage, const Price& price) {
  Json json{{"requests", usage.num_requests},
            {"prompt_tokens", usage.num_prompt_tokens},
            {"completion_tokens", usage.num_tokens},
            {"estimated_requests", usage.num_estimated}};
  if (price.is_known()) {
    json["price_input"] = price.input;
    json["price_output"] = price.output;
    json["cost"] = usage.cost(price);
  }
  return json;
}

std::string usage_text(const Json& usage) {
  constexpr char kWhere[] = "usage";
  const auto count = [&](const char* name) {
    return json_int(usage, name, kWhere);
  };
  std::ostringstream out;
  out << grouped(count("requests")) << " requests, "
      << grouped(count("prompt_tokens")) << " tokens in, "
      << grouped(count("completion_tokens")) << " out";
  if (count("estimated_requests") > 0) {
    out << " (estimated for " << grouped(count("estimated_requests")) << ")";
  }
  if (usage.contains("cost")) {
    out << ", cost " << std::fixed << std::setprecision(4)
        << json_number(usage, "cost", kWhere);
  }
  return out.str();
}

}  // namespace selfalign::generate
