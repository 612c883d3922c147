// SPDX-License-Identifier: Apache-2.0
#include "eval/choices.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "base/error.h"
#include "base/hash.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "base/random.h"
#include "eval/choice_checks.h"
#include "eval/items.h"
#include "eval/statistics.h"

namespace selfalign::eval {
namespace {

using generate::ScoreRequest;
using generate::Scores;

// Items that are asked for together: few enough that an interrupt is obeyed
// within seconds, many enough to keep a server busy.
constexpr size_t kChunk = 8;
constexpr size_t kNumRescored = 3;

std::string text_of(const std::vector<ScoreRequest>& requests) {
  Hasher hasher;
  for (const ScoreRequest& request : requests) {
    hasher.add(request.context).add(request.continuations.size());
    for (const std::string& text : request.continuations) hasher.add(text);
  }
  return hasher.digest();
}

// None for a request that the model has no room for, or that a server gave no
// score of.
std::vector<std::optional<Scores>> score_each(
    const std::vector<ScoreRequest>& requests, generate::Generator& generator) {
  std::vector<std::optional<Scores>> found;
  const auto take = [&](std::vector<Scores> scores, size_t expected) {
    if (scores.size() != expected) stop_if_interrupted("evaluate again");
    SELFALIGN_CHECK(scores.size() == expected);
    for (Scores& one : scores) {
      const bool complete = std::all_of(
          one.continuations.begin(), one.continuations.end(),
          [](const auto& score) { return generate::has_answer(score.finish); });
      found.push_back(complete ? std::optional(std::move(one)) : std::nullopt);
    }
  };
  try {
    take(generator.score(requests), requests.size());
    return found;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kInput) throw;
  }
  found.clear();
  for (const ScoreRequest& request : requests) {
    try {
      take(generator.score({request}), 1);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kInput) throw;
      found.emplace_back();
    }
  }
  return found;
}

std::optional<double> score_of(const ChoiceMetric& metric,
                               const ChoiceItem& item,
                               const ChoiceValues& values) {
  for (const std::string& form : metric.forms) {
    if (!values.contains(form)) return std::nullopt;
  }
  return metric.score(item, values);
}

// What the items' scores come to by each metric.
class ChoiceFigures {
 public:
  ChoiceFigures(const ChoiceTask& task, const std::vector<ScoredItem>& items,
                uint64_t seed)
      : task_(task), items_(items), seed_(seed) {}

  std::vector<Metric> all() const {
    std::vector<Metric> figures;
    for (const ChoiceMetric& metric : task_.metrics) add(metric, figures);
    return figures;
  }

 private:
  void add(const ChoiceMetric& metric, std::vector<Metric>& out) const {
    out.push_back(figure(metric, items_));
    if (!task_.by_group) return;
    std::vector<std::string> groups;
    std::map<std::string, std::vector<ScoredItem>> parts;
    for (const ScoredItem& scored : items_) {
      if (!parts.contains(scored.item.group)) {
        groups.push_back(scored.item.group);
      }
      parts[scored.item.group].push_back(scored);
    }
    out.push_back(macro_figure(metric));
    for (const std::string& group : groups) {
      Metric one = figure(metric, parts[group]);
      one.name += "." + group;
      one.title += ", " + group;
      out.push_back(one);
    }
  }

  static std::vector<double> scores_of(const ChoiceMetric& metric,
                                       const std::vector<ScoredItem>& items) {
    std::vector<double> scores;
    scores.reserve(items.size());
    for (const ScoredItem& one : items) {
      scores.push_back(score_of(metric, one.item, one.values).value_or(0.0));
    }
    return scores;
  }

  Metric figure(const ChoiceMetric& metric,
                const std::vector<ScoredItem>& items) const {
    const std::vector<double> scores = scores_of(metric, items);
    Metric figure;
    figure.name = metric.name;
    figure.title = metric.title;
    figure.value = mean(scores);
    figure.num_items = int64_t(items.size());
    figure.higher_is_better = metric.higher_is_better;
    figure.note = metric.note;
    const Interval interval =
        metric.is_share
            ? wilson(std::accumulate(scores.begin(), scores.end(), 0.0),
                     figure.num_items)
            : bootstrap_mean(scores, seed_);
    figure.interval = metric.is_share ? "Wilson" : "bootstrap over items";
    figure.low = interval.low;
    figure.high = interval.high;
    if (metric.chance && !items.empty()) {
      double sum = 0.0;
      for (const ScoredItem& one : items) sum += metric.chance(one.item);
      figure.chance = sum / double(items.size());
    }
    return figure;
  }

  // The mean of the groups' figures, each of the same weight.
  Metric macro_figure(const ChoiceMetric& metric) const {
    const std::vector<double> scores = scores_of(metric, items_);
    std::vector<double> chances(items_.size());
    for (size_t i = 0; metric.chance && i < items_.size(); ++i) {
      chances[i] = metric.chance(items_[i].item);
    }
    const auto macro = [&](const std::vector<double>& values,
                           const std::vector<uint32_t>& sample) {
      std::map<std::string, std::pair<double, double>> groups;
      for (const uint32_t i : sample) {
        auto& [sum, count] = groups[items_[i].item.group];
        sum += values[i];
        ++count;
      }
      double sum = 0.0;
      for (const auto& [name, group] : groups)
        sum += group.first / group.second;
      return groups.empty() ? 0.0 : sum / double(groups.size());
    };
    std::vector<uint32_t> all(items_.size());
    std::iota(all.begin(), all.end(), 0u);
    Metric figure;
    figure.name = metric.name + ".macro";
    figure.title = metric.title + ", mean of the categories";
    figure.value = macro(scores, all);
    figure.num_items = int64_t(items_.size());
    figure.higher_is_better = metric.higher_is_better;
    figure.note = metric.note;
    figure.interval = "bootstrap over items";
    const Interval interval = bootstrap(
        figure.num_items,
        [&](const std::vector<uint32_t>& sample) {
          return macro(scores, sample);
        },
        seed_);
    figure.low = interval.low;
    figure.high = interval.high;
    if (metric.chance) figure.chance = macro(chances, all);
    return figure;
  }

  const ChoiceTask& task_;
  const std::vector<ScoredItem>& items_;
  const uint64_t seed_;
};

// How the items of a task stand in a log: by what key, and with what values.
class LoggedChoices {
 public:
  LoggedChoices(const ChoiceTask& task, std::string fingerprint)
      : task_(task), fingerprint_(std::move(fingerprint)) {}

  const std::string& fingerprint() const { return fingerprint_; }

  uint64_t key_of(const ChoiceItem& item) const {
    std::string asked;
    for (const ChoiceForm& form : task_.forms) {
      asked += form.name + text_of(form.ask(item));
    }
    return item_key(task_.name, task_.version, item.id, asked, fingerprint_);
  }

  uint64_t key_of(const ChoiceForm& form,
                  const std::vector<ScoreRequest>& requests) const {
    return item_key(task_.name, task_.version, form.name, text_of(requests),
                    fingerprint_);
  }

  Json entry(const ChoiceItem& item, const ChoiceValues& values) const {
    Json scores = Json::object();
    for (const ChoiceMetric& metric : task_.metrics) {
      scores[metric.name] = score_of(metric, item, values).value_or(0.0);
    }
    Json json{{"id", item.id}};
    if (!item.group.empty()) json["group"] = item.group;
    json["question"] = item.question;
    json["choices"] = item.choices;
    json["correct"] = item.correct;
    json["values"] = Json::object();
    for (const ChoiceForm& form : task_.forms) {
      const auto found = values.find(form.name);
      json["values"][form.name] =
          found == values.end() ? Json(nullptr) : Json(found->second);
    }
    json["scores"] = scores;
    return json;
  }

  // Of the log, which a person may have touched.
  ChoiceValues values_of(const ChoiceItem& item, const ItemLog& log) const {
    ChoiceValues values;
    try {
      const Json& logged = *log.find(key_of(item));
      for (const ChoiceForm& form : task_.forms) {
        const Json& list = logged.at("values").at(form.name);
        if (list.is_null()) continue;
        values[form.name] = list.get<std::vector<double>>();
        if (values[form.name].size() == item.choices.size()) continue;
        throw std::runtime_error("not as many values as choices");
      }
    } catch (const std::exception& error) {
      throw Error(ErrorKind::kDamaged,
                  str(log.path(), ": item ", item.id,
                      ": expected values as they were logged, found: ",
                      error.what(), "; remove the item's line"));
    }
    return values;
  }

 private:
  const ChoiceTask& task_;
  const std::string fingerprint_;  // of the model
};

class ChoiceRun {
 public:
  ChoiceRun(const ChoiceTask& task, const Subject& subject, ItemLog& log,
            const TaskOptions& options)
      : task_(task),
        generator_(*subject.generator),
        subject_(subject),
        log_(log),
        options_(options),
        logged_(task, generator_.fingerprint()),
        numbers_(pick_items(task.items.size(), options)) {}

  TaskResult run() {
    ask_all();
    std::vector<ScoredItem> items;
    for (const size_t number : numbers_) {
      const ChoiceItem& item = task_.items[number];
      items.push_back({item, logged_.values_of(item, log_)});
    }
    TaskResult result = result_of(items);
    result.self_tests = check_choices(task_, items, options_.seed);
    if (!items.empty()) result.self_tests.push_back(check_rescored(items));
    return result;
  }

 private:
  void ask_all() {
    std::vector<const ChoiceItem*> missing;
    for (const size_t number : numbers_) {
      const ChoiceItem& item = task_.items[number];
      if (log_.find(logged_.key_of(item)) == nullptr) {
        missing.push_back(&item);
      } else if (options_.known != nullptr) {
        remember(item, logged_.values_of(item, log_));
      }
    }
    Progress progress(task_.name + ", " + subject_.name, numbers_.size(),
                      "items");
    size_t done = numbers_.size() - missing.size();
    progress.set_start(done);
    for (size_t begin = 0; begin < missing.size(); begin += kChunk) {
      stop_if_interrupted("the same command goes on");
      const size_t end = std::min(begin + kChunk, missing.size());
      const std::vector<const ChoiceItem*> chunk(
          missing.begin() + ptrdiff_t(begin), missing.begin() + ptrdiff_t(end));
      const std::vector<ChoiceValues> values = score(chunk, options_.known);
      for (size_t i = 0; i < chunk.size(); ++i) {
        log_.add(logged_.key_of(*chunk[i]),
                 logged_.entry(*chunk[i], values[i]));
      }
      progress.update(done += chunk.size());
    }
    log_.sync();
  }

  // Requests of an item in one form.
  struct Asked {
    size_t item = 0;
    size_t end = 0;    // among the requests of all
    uint64_t key = 0;  // in KnownValues
  };

  void remember(const ChoiceItem& item, const ChoiceValues& values) {
    for (const ChoiceForm& form : task_.forms) {
      const auto found = values.find(form.name);
      if (found == values.end()) continue;
      options_.known->emplace(logged_.key_of(form, form.ask(item)),
                              found->second);
    }
  }

  // Form by form, so that items share what stands before them; what is in
  // `known`, which may be null, is not asked, and what is asked goes into it.
  std::vector<ChoiceValues> score(const std::vector<const ChoiceItem*>& items,
                                  KnownValues* known) {
    std::vector<ChoiceValues> values(items.size());
    for (const ChoiceForm& form : task_.forms) {
      std::vector<ScoreRequest> requests;
      std::vector<Asked> asked;
      for (size_t i = 0; i < items.size(); ++i) {
        std::vector<ScoreRequest> own = form.ask(*items[i]);
        const uint64_t key = known == nullptr ? 0 : logged_.key_of(form, own);
        if (known != nullptr && known->contains(key)) {
          values[i][form.name] = known->at(key);
          continue;
        }
        for (ScoreRequest& request : own) {
          request.key = requests.size();
          requests.push_back(std::move(request));
        }
        asked.push_back({i, requests.size(), key});
      }
      const std::vector<std::optional<Scores>> all =
          score_each(requests, generator_);
      size_t at = 0;
      for (const auto& [i, end, key] : asked) {
        std::vector<Scores> own;
        bool complete = true;
        for (; at < end; ++at) {
          complete = complete && all[at];
          if (all[at]) own.push_back(*all[at]);
        }
        if (!complete) continue;
        values[i][form.name] = form.read(*items[i], own);
        if (known != nullptr) known->emplace(key, values[i][form.name]);
      }
    }
    return values;
  }

  TaskResult result_of(const std::vector<ScoredItem>& items) const {
    TaskResult result =
        begin_result(task_.name, task_.version, subject_, task_.data);
    result.settings = task_.settings;
    result.settings["items"] = describe_pick(task_.items.size(), options_);
    result.settings["seed"] = options_.seed;
    for (const ScoredItem& scored : items) {
      result.num_failures += scored.values.size() < task_.forms.size();
    }
    result.metrics = ChoiceFigures(task_, items, options_.seed).all();
    return result;
  }

  // A few items are asked again with their choices in another order.
  SelfTest check_rescored(const std::vector<ScoredItem>& items) {
    ItemLog again(log_.path() + ".checks");
    const auto count = uint32_t(items.size());
    const std::vector<uint32_t> sample =
        draw_sample(Hasher().add("rescored").add(options_.seed).key(), count,
                    std::min<uint32_t>(kNumRescored, count));
    double difference = 0.0;
    size_t num_values = 0;
    for (const uint32_t number : sample) {
      const ChoiceItem& item = items[number].item;
      std::vector<uint32_t> order(item.choices.size());
      std::iota(order.rbegin(), order.rend(), 0u);  // last choice first
      const ChoiceItem other = permuted(item, order);
      const uint64_t key = logged_.key_of(other);
      if (again.find(key) == nullptr) {
        again.add(key, logged_.entry(other, score({&other}, nullptr)[0]));
      }
      const ChoiceValues values = logged_.values_of(other, again);
      for (const auto& [form, old] : items[number].values) {
        const auto found = values.find(form);
        for (size_t i = 0; i < order.size(); ++i, ++num_values) {
          difference = std::max(
              difference, found == values.end()
                              ? INFINITY
                              : std::abs(found->second[i] - old[order[i]]));
        }
      }
    }
    // A server answers through its own batches; here it is the same bits.
    const double allowed =
        logged_.fingerprint().starts_with(generate::kRemote) ? 0.1 : 0.0;
    return {"permuted choices: asked again",
            str(num_values, " values, differing by at most ", allowed),
            str("by at most ", difference), difference <= allowed};
  }

  const ChoiceTask& task_;
  generate::Generator& generator_;
  const Subject& subject_;
  ItemLog& log_;
  const TaskOptions& options_;
  const LoggedChoices logged_;
  const std::vector<size_t> numbers_;
};

}  // namespace

TaskResult run_choices(const ChoiceTask& task, const Subject& subject,
                       ItemLog& log, const TaskOptions& options) {
  return ChoiceRun(task, subject, log, options).run();
}

ChoiceForm text_form(const std::string& name,
                     std::function<std::string(const ChoiceItem&)> context) {
  ChoiceForm form;
  form.name = name;
  form.ask = [context = std::move(context)](const ChoiceItem& item) {
    ScoreRequest request;
    request.context = context(item);
    for (const std::string& choice : item.choices) {
      request.continuations.push_back(answer_start(request.context) + choice);
    }
    return std::vector<ScoreRequest>{request};
  };
  form.read = [](const ChoiceItem&, const std::vector<Scores>& all) {
    std::vector<double> values;
    values.reserve(all[0].continuations.size());
    for (const auto& score : all[0].continuations) {
      values.push_back(sum_logprobs(score));
    }
    return values;
  };
  return form;
}

double sum_logprobs(const generate::ContinuationScore& score) {
  double sum = 0.0;
  for (const float logprob : score.logprobs) sum += double{logprob};
  return sum;
}

double best_wins(const ChoiceItem& item, const std::vector<double>& values,
                 size_t num_considered) {
  size_t num_seen = 1;
  for (size_t i = 0; i < values.size(); ++i) {
    if (item.correct[i]) continue;
    if (num_considered != 0 && num_seen++ >= num_considered) break;
    if (values[i] >= values[item.best]) return 0.0;
  }
  return 1.0;
}

}  // namespace selfalign::eval
