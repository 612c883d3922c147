// SPDX-License-Identifier: Apache-2.0
#include "eval/choice_checks.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "base/error.h"
#include "base/hash.h"
#include "base/random.h"
#include "eval/items.h"

namespace selfalign::eval {
namespace {

constexpr int kRounds = 100;  // of the random scorer over all items

bool has_forms(const ScoredItem& scored, const ChoiceMetric& metric) {
  return std::all_of(
      metric.forms.begin(), metric.forms.end(),
      [&](const std::string& form) { return scored.values.contains(form); });
}

// Of a scorer that knows nothing.
ChoiceValues random_values(const ChoiceMetric& metric, const ChoiceItem& item,
                           uint64_t key) {
  ChoiceValues values;
  uint64_t t = 0;
  for (const std::string& form : metric.forms) {
    for (size_t i = 0; i < item.choices.size(); ++i) {
      const auto scale = metric.per_byte ? double(item.choices[i].size()) : 1.0;
      values[form].push_back(-8 * scale * draw_uniform(key, t++));
    }
  }
  return values;
}

SelfTest check_random(const ChoiceMetric& metric,
                      const std::vector<ScoredItem>& items, uint64_t seed) {
  double chance = 0.0;
  double sum = 0.0;
  double variance = 0.0;  // of the sum: items are drawn independently
  for (size_t i = 0; i < items.size(); ++i) {
    const ChoiceItem& item = items[i].item;
    chance += metric.chance(item);
    double one = 0.0;
    double squares = 0.0;
    for (int round = 0; round < kRounds; ++round) {
      const uint64_t key = Hasher()
                               .add("random scorer")
                               .add(metric.name)
                               .add(seed)
                               .add(i)
                               .add(uint64_t(round))
                               .key();
      const double score = metric.score(item, random_values(metric, item, key));
      one += score;
      squares += score * score;
    }
    sum += one;
    variance += std::max(squares - one * one / kRounds, 0.0);
  }
  const auto count = static_cast<double>(items.size());
  const double found = sum / (count * kRounds);
  // Four standard errors: a right evaluator fails once in 16,000 tries.
  const double width = 4 * std::sqrt(variance + 0.25) / (count * kRounds);
  char expected[48];
  std::snprintf(expected, sizeof expected, "%.2f +- %.2f %%",
                100 * chance / count, 100 * width);
  char text[32];
  std::snprintf(text, sizeof text, "%.2f %%", 100 * found);
  return {"random scorer is at chance: " + metric.name, expected, text,
          std::abs(found - chance / count) <= width};
}

SelfTest check_oracle(const ChoiceMetric& metric,
                      const std::vector<ScoredItem>& items) {
  double sum = 0.0;
  for (const ScoredItem& scored : items) {
    ChoiceValues values;
    for (const std::string& form : metric.forms) {
      for (const bool correct : scored.item.correct) {
        values[form].push_back(correct ? -1.0 : -1000.0);
      }
    }
    sum += metric.score(scored.item, values);
  }
  const double found = sum / static_cast<double>(items.size());
  return {"oracle: " + metric.name, percent(metric.oracle), percent(found),
          std::abs(found - metric.oracle) < 1e-9};
}

SelfTest check_order(const ChoiceTask& task,
                     const std::vector<ScoredItem>& items, uint64_t seed) {
  int64_t num_checked = 0;
  int64_t num_changed = 0;
  for (size_t i = 0; i < items.size(); ++i) {
    const auto count = static_cast<uint32_t>(items[i].item.choices.size());
    const std::vector<uint32_t> order = draw_sample(
        Hasher().add("permuted").add(seed).add(i).key(), count, count);
    ScoredItem other{permuted(items[i].item, order), {}};
    for (const auto& [form, values] : items[i].values) {
      for (const uint32_t from : order) {
        other.values[form].push_back(values[from]);
      }
    }
    for (const ChoiceMetric& metric : task.metrics) {
      if (metric.depends_on_order || !has_forms(items[i], metric)) continue;
      ++num_checked;
      num_changed += std::abs(metric.score(items[i].item, items[i].values) -
                              metric.score(other.item, other.values)) > 1e-12;
    }
  }
  return {"permuted choices: logged values", "0 scores changed",
          str(num_changed, " of ", num_checked, " changed"), num_changed == 0};
}

}  // namespace

ChoiceItem permuted(const ChoiceItem& item,
                    const std::vector<uint32_t>& order) {
  SELFALIGN_CHECK(order.size() == item.choices.size());
  ChoiceItem other{item.id, item.group, item.question, {}, {}, 0};
  for (size_t i = 0; i < order.size(); ++i) {
    other.choices.push_back(item.choices[order[i]]);
    other.correct.push_back(item.correct[order[i]]);
    if (order[i] == item.best) other.best = i;
  }
  return other;
}

std::vector<SelfTest> check_choices(const ChoiceTask& task,
                                    const std::vector<ScoredItem>& items,
                                    uint64_t seed) {
  std::vector<SelfTest> tests;
  for (const ChoiceMetric& metric : task.metrics) {
    if (metric.chance) tests.push_back(check_random(metric, items, seed));
    tests.push_back(check_oracle(metric, items));
  }
  tests.push_back(check_order(task, items, seed));
  return tests;
}

}  // namespace selfalign::eval
