// SPDX-License-Identifier: Apache-2.0
#include "stages/balance.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "base/random.h"
#include "stages/rounds.h"

namespace selfalign::stages {
namespace {

// Fewest requests a type may make before it is given up.
constexpr double kMinRequests = 16.0;

template <typename Item>
std::vector<Item> in_drawn_order(uint64_t key, const std::vector<Item>& items) {
  const auto size = static_cast<uint32_t>(items.size());
  std::vector<Item> ordered;
  for (const uint32_t i : draw_sample(key, size, size)) {
    ordered.push_back(items[i]);
  }
  return ordered;
}

}  // namespace

std::vector<int64_t> largest_remainder(int64_t total,
                                       const std::vector<double>& weights,
                                       const std::vector<uint32_t>& order) {
  std::vector<int64_t> parts(weights.size(), 0);
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  if (sum <= 0.0) return parts;
  std::vector<double> remainders(weights.size(), -1.0);
  int64_t rest = total;
  for (size_t i = 0; i < weights.size(); ++i) {
    if (weights[i] <= 0.0) continue;
    const double exact = static_cast<double>(total) * weights[i] / sum;
    parts[i] = std::min(rest, static_cast<int64_t>(std::floor(exact)));
    remainders[i] = exact - std::floor(exact);
    rest -= parts[i];
  }
  std::vector<uint32_t> by_remainder = order;
  std::stable_sort(
      by_remainder.begin(), by_remainder.end(),
      [&](uint32_t a, uint32_t b) { return remainders[a] > remainders[b]; });
  for (size_t i = 0; rest > 0; i = (i + 1) % by_remainder.size()) {
    if (weights[by_remainder[i]] <= 0.0) continue;
    ++parts[by_remainder[i]];
    --rest;
  }
  return parts;
}

TypeBalance::TypeBalance(const BalanceOptions& options,
                         std::vector<TypeTopics> types)
    : options_(options),
      types_(std::move(types)),
      has_quotas_(options.kind == "quota"),
      planned_(types_.size(), 0) {
  order_.resize(types_.size());
  std::iota(order_.begin(), order_.end(), 0u);
  order_ =
      in_drawn_order(Hasher().add("types").add(options_.draw).key(), order_);
  if (options_.kind == "smallest") cut_to_smallest();
  std::vector<double> weights;
  for (size_t t = 0; t < types_.size(); ++t) {
    TypeTopics& type = types_[t];
    all_topics_.insert(all_topics_.end(), type.topics.begin(),
                       type.topics.end());
    weights.push_back(type.topics.empty() ? 0.0 : type.weight);
    type.topics = in_drawn_order(
        Hasher().add("topics").add(options_.draw).add(t).key(), type.topics);
  }
  SELFALIGN_CHECK(!all_topics_.empty());
  std::sort(all_topics_.begin(), all_topics_.end());
  all_topics_ = in_drawn_order(options_.draw, all_topics_);
  // Without any weight over 0 all types count the same.
  if (std::all_of(weights.begin(), weights.end(),
                  [](double weight) { return weight <= 0.0; })) {
    for (size_t t = 0; t < types_.size(); ++t) {
      types_[t].weight = 1.0;
      weights[t] = types_[t].topics.empty() ? 0.0 : 1.0;
    }
  }
  const std::vector<int64_t> none(types_.size(), 0);
  share_ = has_quotas_
               ? largest_remainder(options_.num_questions, weights, order_)
               : none;
  now_ = {share_, none, none, std::vector<bool>(types_.size(), false)};
  known_ = now_;
}

// The first ones of each type stay, as in the paper's code.
void TypeBalance::cut_to_smallest() {
  size_t smallest = SIZE_MAX;
  for (const TypeTopics& type : types_) {
    if (!type.topics.empty()) smallest = std::min(smallest, type.topics.size());
  }
  for (TypeTopics& type : types_) {
    if (type.topics.empty()) continue;
    num_unused_ += static_cast<int64_t>(type.topics.size() - smallest);
    type.topics.resize(smallest);
  }
}

size_t TypeBalance::type_named(const std::string& type) const {
  for (size_t t = 0; t < types_.size(); ++t) {
    if (types_[t].name == type) return t;
  }
  throw Error(ErrorKind::kDamaged,
              str("redteam.topics: expected a question type of the run's "
                  "prompts, found \"",
                  type, "\"; look for more with: selfalign verify RUN"));
}

int64_t TypeBalance::needs(int64_t n) const {
  return has_quotas_ ? known_before(n) : 0;
}

std::vector<size_t> TypeBalance::next_topics(int64_t n) {
  const auto may_know = static_cast<size_t>(needs(n));
  SELFALIGN_CHECK(may_know <= outcomes_.size(), "planned too early");
  for (; num_known_ < may_know; ++num_known_) {
    const Outcome& outcome = outcomes_[num_known_];
    for (const size_t type : outcome.kept) ++known_.kept[type];
    ask(outcome.asked, known_);
  }
  std::vector<size_t> chosen;
  for (int hint = 0; hint < options_.hints_per_request; ++hint) {
    if (!has_quotas_) {
      const auto place = size_t(n * options_.hints_per_request + hint);
      chosen.push_back(all_topics_[place % all_topics_.size()]);
      continue;
    }
    const size_t type = next_type();
    const std::vector<size_t>& topics = types_[type].topics;
    chosen.push_back(topics[size_t(planned_[type]++) % topics.size()]);
  }
  return chosen;
}

// The type that lacks most, in requests by its yield so far, for each request
// that is under way for it (the method of d'Hondt).
size_t TypeBalance::next_type() const {
  size_t best = order_[0];
  double best_score = -1.0;
  for (const uint32_t t : order_) {
    if (types_[t].topics.empty()) continue;
    const double lacking = double(known_.wanted[t] - known_.kept[t]);
    const double yield =
        double(known_.kept[t] + 1) / double(known_.asked[t] + 2);
    const double score =
        lacking / yield / double(planned_[t] - known_.asked[t] + 1);
    if (score <= best_score) continue;
    best_score = score;
    best = t;
  }
  return best;
}

bool TypeBalance::is_full(const std::string& type) const {
  if (!has_quotas_) return num_kept_ >= options_.num_questions;
  const size_t t = type_named(type);
  return now_.kept[t] >= now_.wanted[t];
}

void TypeBalance::add_kept(const std::string& type) {
  next_.kept.push_back(type_named(type));
  ++now_.kept[next_.kept.back()];
  ++num_kept_;
}

void TypeBalance::add_outcome(const std::vector<std::string>& asked) {
  for (const std::string& type : asked) next_.asked.push_back(type_named(type));
  ask(next_.asked, now_);
  outcomes_.push_back(std::exchange(next_, {}));
}

void TypeBalance::ask(const std::vector<size_t>& types, State& state) const {
  for (const size_t t : types) {
    ++state.asked[t];
    if (!has_quotas_ || state.kept[t] >= state.wanted[t]) continue;
    const double share =
        double(state.wanted[t]) / double(options_.num_questions);
    const double budget =
        std::max(kMinRequests, share * double(options_.max_requests) *
                                   double(options_.hints_per_request));
    if (double(state.asked[t]) >= budget) give_up(t, state);
  }
}

void TypeBalance::give_up(size_t type, State& state) const {
  const int64_t rest = state.wanted[type] - state.kept[type];
  state.wanted[type] = state.kept[type];
  state.given_up[type] = true;
  std::vector<double> weights;
  for (size_t t = 0; t < types_.size(); ++t) {
    const bool open = !state.given_up[t] && !types_[t].topics.empty();
    weights.push_back(open ? types_[t].weight : 0.0);
  }
  const auto more = largest_remainder(rest, weights, order_);
  for (size_t t = 0; t < types_.size(); ++t) state.wanted[t] += more[t];
}

bool TypeBalance::finished() const {
  if (!has_quotas_) return num_kept_ >= options_.num_questions;
  for (size_t t = 0; t < types_.size(); ++t) {
    if (now_.kept[t] < now_.wanted[t]) return false;
  }
  return true;
}

std::string TypeBalance::short_types() const {
  std::string types;
  for (size_t t = 0; t < types_.size(); ++t) {
    if (now_.kept[t] >= share_[t]) continue;
    types += str(types.empty() ? "" : ", ", now_.kept[t], " of ", share_[t],
                 " for ", types_[t].name);
  }
  return types;
}

Json TypeBalance::figures() const {
  BalanceFigures figures{options_.kind, num_unused_, {}};
  for (size_t t = 0; t < types_.size(); ++t) {
    TypeFigures type{int64_t(types_[t].topics.size()), now_.asked[t],
                     now_.kept[t]};
    if (has_quotas_) {
      type.share = share_[t];
      type.wanted = now_.wanted[t];
    }
    named(figures.types, types_[t].name) = type;
  }
  return to_json(figures);
}

}  // namespace selfalign::stages
