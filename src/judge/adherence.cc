// SPDX-License-Identifier: Apache-2.0
#include "judge/adherence.h"

#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "base/error.h"
#include "base/hash.h"
#include "base/random.h"
#include "eval/items.h"
#include "eval/statistics.h"
#include "generate/scripted.h"
#include "stages/stage_table.h"

namespace selfalign::judge {
namespace {

constexpr char kVersion[] = "1";
constexpr char kSubject[] = "align.pairs";
constexpr char kMark[] = "\x1f";  // between question and answer; in neither

// For each, which other one's answer is put in its place: the next of a drawn
// order whose answer is another text; its own number where there is none.
std::vector<size_t> swapped_places(const std::vector<FiredRule>& fired,
                                   uint64_t seed) {
  std::vector<size_t> order(fired.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  for (size_t i = order.size(); i > 1; --i) {
    std::swap(order[i - 1], order[draw_index(seed, i, i)]);
  }
  std::vector<size_t> places(fired.size());
  for (size_t i = 0; i < order.size(); ++i) {
    size_t k = 1;
    while (k < order.size() && fired[order[(i + k) % order.size()]].answer ==
                                   fired[order[i]].answer) {
      ++k;
    }
    places[order[i]] = order[(i + k) % order.size()];
  }
  return places;
}

Inquiry inquiry_of(const FiredRule& one, const std::string& answer,
                   const recipe::Principle& rule, const char* kind) {
  Inquiry inquiry;
  inquiry.role = "adherence";
  inquiry.values = {{"rule_name", rule.name},
                    {"rule", rule.text},
                    {"question", one.question},
                    {"answer", answer}};
  inquiry.about = Json{{"id", one.id},
                       {"group", rule.name},
                       {"kind", kind},
                       {"task", "adherence"},
                       {"subject", kSubject},
                       {"rule", one.rule},
                       {"answer_digest", Hasher().add(answer).digest()}};
  return inquiry;
}

// What the judge said of the rows' own answers and of the swapped ones.
struct Verdicts {
  std::vector<Json> own;
  std::vector<Json> swapped;
};

Verdicts ask(Judge& judge, const recipe::Prompts& prompts,
             const std::vector<FiredRule>& fired, uint64_t seed) {
  const std::vector<size_t> places = swapped_places(fired, seed);
  std::vector<Inquiry> inquiries;
  for (const bool swapped : {false, true}) {
    for (size_t i = 0; i < fired.size(); ++i) {
      const FiredRule& one = fired[i];
      inquiries.push_back(
          inquiry_of(one, swapped ? fired[places[i]].answer : one.answer,
                     prompts.principles.at(size_t(one.rule - 1)),
                     swapped ? "adherence_swapped" : "adherence"));
    }
  }
  const std::vector<Json> all = judge.ask(inquiries, "adherence");
  const auto middle = all.begin() + long(fired.size());
  return {{all.begin(), middle}, {middle, all.end()}};
}

bool is_kept(const Json& verdict) { return verdict == true; }

eval::Metric share(const std::string& name, const std::string& title,
                   const std::vector<Json>& verdicts) {
  eval::Metric metric;
  metric.name = name;
  metric.title = title;
  metric.num_items = int64_t(verdicts.size());
  const auto kept =
      double(std::count_if(verdicts.begin(), verdicts.end(), is_kept));
  metric.value = kept / std::max(1.0, double(verdicts.size()));
  const eval::Interval interval = eval::wilson(kept, metric.num_items);
  metric.low = interval.low;
  metric.high = interval.high;
  metric.interval = "Wilson";
  const auto none =
      std::count_if(verdicts.begin(), verdicts.end(),
                    [](const Json& one) { return one.is_null(); });
  if (none > 0) metric.note = str(none, " without a verdict count as not");
  return metric;
}

eval::Metric gain(const Verdicts& verdicts) {
  std::vector<double> own;
  std::vector<double> swapped;
  for (size_t i = 0; i < verdicts.own.size(); ++i) {
    own.push_back(is_kept(verdicts.own[i]) ? 1 : 0);
    swapped.push_back(is_kept(verdicts.swapped[i]) ? 1 : 0);
  }
  const eval::Paired paired = eval::paired_difference(own, swapped, 0);
  eval::Metric metric;
  metric.name = "adherence_gain";
  metric.title = "Own answers less those of other rows";
  metric.value = paired.difference;
  metric.low = paired.low;
  metric.high = paired.high;
  metric.interval = "bootstrap over fired rules";
  metric.num_items = paired.n;
  if (!(paired.low > 0)) {
    metric.note = "this judge does not tell a row's own answer from another's";
  }
  return metric;
}

std::vector<eval::Metric> metrics_of(const recipe::Prompts& prompts,
                                     const std::vector<FiredRule>& fired,
                                     const Verdicts& verdicts) {
  const auto has_verdict = [](const Json& one) { return !one.is_null(); };
  if (std::none_of(verdicts.own.begin(), verdicts.own.end(), has_verdict)) {
    return {};
  }
  std::vector<eval::Metric> metrics = {
      share("adherence", "Rules that fired and were kept", verdicts.own),
      share("adherence_swapped", "The same, answers of other rows",
            verdicts.swapped),
      gain(verdicts)};
  std::map<int, std::vector<Json>> by_rule;
  for (size_t i = 0; i < fired.size(); ++i) {
    by_rule[fired[i].rule].push_back(verdicts.own[i]);
  }
  for (const auto& [rule, own] : by_rule) {
    if (std::none_of(own.begin(), own.end(), has_verdict)) continue;
    metrics.push_back(share(
        str("adherence.", rule),
        str(rule, " (", prompts.principles.at(size_t(rule - 1)).name, ")"),
        own));
  }
  return metrics;
}

// A judge whose verdicts are a function of question and answer.
using Script =
    std::function<std::string(const std::string&, const std::string&)>;
Verdicts ask_scripted(const recipe::Prompts& prompts,
                      const std::vector<FiredRule>& fired, uint64_t seed,
                      const Script& script) {
  generate::ScriptedOptions scripted;
  scripted.script = [&script](const generate::Request& request) {
    const size_t mark = request.suffix.find(kMark);
    return script(request.suffix.substr(0, mark),
                  request.suffix.substr(mark + 1));
  };
  const auto generator = generate::make_scripted_generator(scripted);
  JudgeOptions options;
  options.name = "self-test";
  options.generator = generator.get();
  options.prompts.prompts["adherence"].text =
      std::string("{question}") + kMark + "{answer}";
  Judge judge(options, nullptr);
  return ask(judge, prompts, fired, seed);
}

// Judges whose verdicts are known, over the same rows and in the same way.
std::vector<eval::SelfTest> check(const recipe::Prompts& prompts,
                                  const std::vector<FiredRule>& fired,
                                  uint64_t seed) {
  const auto n = fired.size();
  std::set<std::pair<std::string, std::string>> known;
  for (const FiredRule& one : fired) known.insert({one.question, one.answer});
  const std::vector<size_t> places = swapped_places(fired, seed);
  size_t num_same = 0;  // swapped for what is an answer to the question, too
  for (size_t i = 0; i < n; ++i) {
    num_same += known.contains({fired[i].question, fired[places[i]].answer});
  }
  const auto words = [&](const Script& script) {
    const Verdicts found = ask_scripted(prompts, fired, seed, script);
    return str(
        std::count_if(found.own.begin(), found.own.end(), is_kept), " of ", n,
        ", swapped ",
        std::count_if(found.swapped.begin(), found.swapped.end(), is_kept),
        ", shares ", metrics_of(prompts, fired, found).size() > 0);
  };
  const auto test = [&](const char* name, const std::string& expected,
                        const Script& script) {
    const std::string found = words(script);
    return eval::SelfTest{name, expected, found, expected == found};
  };
  return {
      test("a judge that always says yes",
           str(n, " of ", n, ", swapped ", n, ", shares ", n > 0),
           [](const auto&, const auto&) { return "[[yes]]"; }),
      test("a judge that always says no",
           str("0 of ", n, ", swapped 0, shares ", n > 0),
           [](const auto&, const auto&) { return "[[no]]"; }),
      test("a judge that knows whose answer it is",
           str(n, " of ", n, ", swapped ", num_same, ", shares ", n > 0),
           [&](const std::string& question, const std::string& answer) {
             return known.contains({question, answer}) ? "[[yes]]" : "[[no]]";
           }),
      test("a judge that cannot be read",
           str("0 of ", n, ", swapped 0, shares ", false),
           [](const auto&, const auto&) { return "perhaps"; })};
}

std::vector<FiredRule> all_fired(const store::Reader& store) {
  std::vector<FiredRule> fired;
  for (const std::string& stage : store.stages()) {
    if (!stage.ends_with(".pairs") || stages::unrefilled(stage) != kSubject) {
      continue;
    }
    for (const store::Row& row : store.rows(stage)) {
      for (const Json& rule : row.content.value("rules", Json::array())) {
        const std::string place = str(stage, ":", row.seq);
        const int number = rule.get<int>();
        fired.push_back({str(place, " rule ", number), place, number,
                         json_string(row.content, "instruction", place),
                         json_string(row.content, "response", place)});
      }
    }
  }
  return fired;
}

}  // namespace

std::vector<FiredRule> fired_rules(const store::Reader& store, int64_t per_rule,
                                   uint64_t seed) {
  const std::vector<FiredRule> all = all_fired(store);
  if (per_rule == 0) return all;
  // Of each rule those with the lowest drawn numbers.
  std::map<int, std::vector<std::pair<double, size_t>>> drawn;
  for (size_t i = 0; i < all.size(); ++i) {
    const uint64_t key = Hasher().add(all[i].id).key();
    drawn[all[i].rule].emplace_back(draw_uniform(key, seed), i);
  }
  std::vector<size_t> chosen;
  for (auto& [rule, list] : drawn) {
    std::sort(list.begin(), list.end());
    for (size_t i = 0; i < list.size() && int64_t(i) < per_rule; ++i) {
      chosen.push_back(list[i].second);
    }
  }
  std::sort(chosen.begin(), chosen.end());
  std::vector<FiredRule> some;
  for (const size_t i : chosen) some.push_back(all[i]);
  return some;
}

eval::TaskResult judge_adherence(Judge& judge, const recipe::Prompts& prompts,
                                 const std::vector<FiredRule>& fired,
                                 uint64_t seed) {
  const Verdicts verdicts = ask(judge, prompts, fired, seed);
  Hasher hasher;
  for (const FiredRule& one : fired) {
    hasher.add(one.id).add(one.question).add(one.answer);
  }
  eval::TaskResult result;
  result.task = "adherence.judge." + judge.options().name;
  result.version = kVersion;
  result.subject = kSubject;
  result.fingerprint = judge.options().generator->fingerprint();
  result.data = "run.db " + hasher.digest();
  result.items = "judgements/" + judge.options().name + ".jsonl";
  result.keys = judge.take_keys();
  result.metrics = metrics_of(prompts, fired, verdicts);
  result.num_failures =
      std::count_if(verdicts.own.begin(), verdicts.own.end(),
                    [](const Json& one) { return one.is_null(); });
  result.self_tests = check(prompts, fired, seed);
  result.settings = judge.settings();
  result.settings["judge"] = judge.options().name;
  result.settings.update(eval::decoding_part(Json()));
  result.settings["items"] = fired.size();
  result.settings["seed"] = seed;
  return result;
}

std::string adherence_text(const eval::TaskResult& result) {
  if (result.metrics.empty()) {
    return str("no verdict, of ", result.num_failures, " judgements\n");
  }
  std::string text;
  for (const eval::Metric& metric : result.metrics) {
    const bool is_total = metric.name.find('.') == std::string::npos;
    text += str(is_total ? "" : "  ", metric.title, ": ",
                eval::percent(metric.value), " (", eval::percent(metric.low),
                " to ", eval::percent(metric.high), ") of ", metric.num_items,
                metric.note.empty() ? "" : "; " + metric.note, "\n");
  }
  return text;
}

}  // namespace selfalign::judge
