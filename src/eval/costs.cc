// SPDX-License-Identifier: Apache-2.0
#include "eval/costs.h"

#include <iomanip>
#include <set>
#include <sstream>

#include "base/error.h"
#include "eval/item_log.h"
#include "eval/result_items.h"

namespace selfalign::eval {
namespace {

constexpr char kWhere[] = "usage";

// A number or the sum of a list of them.
int64_t sum_of(const Json& value) {
  if (value.is_number()) return value.get<int64_t>();
  int64_t sum = 0;
  if (!value.is_array()) return sum;
  for (const Json& one : value) {
    if (one.is_number()) sum += one.get<int64_t>();
  }
  return sum;
}

void add_item(const Json& item, generate::Usage& usage) {
  const Json tokens = item.value("tokens", Json());
  if (tokens.is_null()) return;  // scored, not answered; a person's verdict
  const int64_t num_requests =
      tokens.is_array() ? int64_t(tokens.size()) : int64_t{1};
  const Json prompt = item.value("prompt_tokens", Json());
  usage.num_requests += num_requests;
  usage.num_tokens += sum_of(tokens);
  usage.num_prompt_tokens += sum_of(prompt);
  if (prompt.is_null() || item.value("tokens_estimated", false)) {
    usage.num_estimated += num_requests;
  }
}

// Keys of the items by file.
std::map<std::string, std::set<uint64_t>> items_of(const Results& results,
                                                   const Asked& asked) {
  std::map<std::string, std::set<uint64_t>> files;
  const auto add = [&](const std::string& file,
                       const std::vector<uint64_t>& keys) {
    files[file].insert(keys.begin(), keys.end());
  };
  const bool is_judge = asked.kind == "judge";
  for (const TaskResult& result : results.results) {
    if (is_judge ? result.task.ends_with(".judge." + asked.name)
                 : result.subject == asked.name &&
                       result.task.find(".judge.") == std::string::npos) {
      add(result.items, result.keys);
    }
  }
  for (const Json& one : results.comparisons) {
    if (!is_judge || one.value("judge", Json()) != asked.name) continue;
    add(json_string_or(one, "judgements", kWhere, ""),
        keys_from_json(one.value("keys", Json::array()), kWhere));
  }
  return files;
}

generate::Price known_price(const Results& results, const Asked& asked) {
  if (asked.price.is_known()) return asked.price;
  for (const Json& one : results.usage) {
    if (one["kind"] == asked.kind && one["name"] == asked.name) {
      return {json_number_or(one, "price_input", kWhere, 0),
              json_number_or(one, "price_output", kWhere, 0)};
    }
  }
  return {};
}

}  // namespace

Json usage_of(const std::string& folder, const Results& results,
              const Asked& asked) {
  generate::Usage usage;
  for (const auto& [file, keys] : items_of(results, asked)) {
    if (keys.empty()) continue;
    for (const Json& item :
         read_items(folder, file, {keys.begin(), keys.end()})) {
      add_item(item, usage);
    }
  }
  Json json{{"kind", asked.kind}, {"name", asked.name}, {"model", asked.model}};
  json.update(usage_json(usage, known_price(results, asked)));
  return json;
}

std::string costs_text(const std::vector<Json>& usage) {
  std::string text;
  double sum = 0.0;
  int num_costs = 0;
  for (const Json& one : usage) {
    text += str("  ", json_string(one, "kind", kWhere), " ",
                json_string(one, "name", kWhere), ": ",
                generate::usage_text(one), "\n");
    if (!one.contains("cost")) continue;
    sum += json_number(one, "cost", kWhere);
    ++num_costs;
  }
  if (num_costs > 1) {
    std::ostringstream total;
    total << std::fixed << std::setprecision(4) << sum;
    text += "  together: " + total.str() + "\n";
  }
  return text.empty() ? text : "usage\n" + text;
}

}  // namespace selfalign::eval
