// SPDX-License-Identifier: Apache-2.0
#include "generate/usage.h"

#include <optional>

#include "base/counted.h"
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

UsageReport usage_report(const Usage& usage, const Price& price) {
  UsageReport report{usage, std::nullopt};
  if (price.is_known()) {
    report.cost = {price.input, price.output, usage.cost(price)};
  }
  return report;
}

std::string usage_text(const UsageReport& report) {
  const Usage& usage = report.usage;
  std::string out = str(grouped(usage.num_requests), " requests, ",
                        grouped(usage.num_prompt_tokens), " tokens in, ",
                        grouped(usage.num_tokens), " out");
  if (usage.num_estimated > 0) {
    out += str(" (estimated for ", grouped(usage.num_estimated), ")");
  }
  if (report.cost) out += ", cost " + rounded(report.cost->cost, 4);
  return out;
}

}  // namespace selfalign::generate
