// SPDX-License-Identifier: Apache-2.0
#include "eval/costs.h"

#include <set>

#include "base/counted.h"
#include "base/error.h"
#include "eval/item_log.h"
#include "eval/result_items.h"

namespace selfalign::eval {
namespace {

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
  for (const Comparison& one : results.comparisons) {
    if (is_judge && one.judge == asked.name && one.judgements) {
      add(*one.judgements, one.keys);
    }
  }
  return files;
}

generate::Price known_price(const Results& results, const Asked& asked) {
  if (asked.price.is_known()) return asked.price;
  for (const SubjectUsage& one : results.usage) {
    const std::optional<generate::Cost>& cost = one.report.cost;
    if (one.kind == asked.kind && one.name == asked.name && cost) {
      return {cost->price_input, cost->price_output};
    }
  }
  return {};
}

}  // namespace

SubjectUsage usage_of(const std::string& folder, const Results& results,
                      const Asked& asked) {
  generate::Usage usage;
  for (const auto& [file, keys] : items_of(results, asked)) {
    if (keys.empty()) continue;
    for (const Json& item :
         read_items(folder, file, {keys.begin(), keys.end()})) {
      add_item(item, usage);
    }
  }
  return {asked.kind, asked.name, asked.model,
          generate::usage_report(usage, known_price(results, asked))};
}

std::string costs_text(const std::vector<SubjectUsage>& usage) {
  std::string text;
  double sum = 0.0;
  int num_costs = 0;
  for (const SubjectUsage& one : usage) {
    text += str("  ", one.kind, " ", one.name, ": ",
                generate::usage_text(one.report), "\n");
    if (!one.report.cost) continue;
    sum += one.report.cost->cost;
    ++num_costs;
  }
  if (num_costs > 1) {
    text += "  together: " + rounded(sum, 4) + "\n";
  }
  return text.empty() ? text : "usage\n" + text;
}

}  // namespace selfalign::eval
