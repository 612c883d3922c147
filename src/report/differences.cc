// SPDX-License-Identifier: Apache-2.0
#include "report/differences.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "eval/result_items.h"
#include "parse/repetition.h"
#include "recipe/run_files.h"
#include "report/table.h"
#include "stages/held_out.h"
#include "stages/row_reading.h"
#include "text/words.h"

namespace selfalign::report {
namespace {

constexpr char kBase[] = "base";
constexpr char kPrompted[] = "prompted";
constexpr char kEngraved[] = "engraved";
constexpr char kVerbose[] = "verbose";

// One text of an item's "answer" or "answers"; "" of none.
std::string answer_of(const Json& item) {
  const auto one = item.find("answer");
  if (one != item.end() && one->is_string()) return one->get<std::string>();
  std::string all;
  for (const Json& part : item.value("answers", Json::array())) {
    if (part.is_string()) all += part.get<std::string>() + "\n";
  }
  return all;
}

// A number, or the sum of a list of them.
bool sum_of(const Json& value, double& sum) {
  if (value.is_number()) {
    sum = value.get<double>();
    return true;
  }
  if (!value.is_array() || value.empty()) return false;
  sum = 0.0;
  for (const Json& part : value) {
    if (!part.is_number()) return false;
    sum += part.get<double>();
  }
  return true;
}

// Whether every answer was ended by the model.
bool ended(const Json& finish) {
  if (!finish.is_array()) return finish == "stop";
  for (const Json& one : finish) {
    if (one != "stop") return false;
  }
  return true;
}

// All figures of an item by name.
std::map<std::string, double> scores_of(const Json& item) {
  std::map<std::string, double> scores;
  const Json of_text = text_scores(item);
  for (const auto& [name, value] : of_text.items()) scores[name] = value;
  const auto own = item.find("scores");
  if (own == item.end() || !own->is_object()) return scores;
  for (const auto& [name, value] : own->items()) {
    if (value.is_number()) scores[name] = value.get<double>();
  }
  return scores;
}

// Thoughts are no part of an answer, but of its tokens.
std::vector<Json> held_out_items(const HeldOutAnswers& held_out,
                                 const std::string& variant) {
  std::vector<Json> items;
  const std::string stage = "held_out." + variant + ".answers";
  held_out.store.scan(stage, "", [&](const store::SeenRow& seen) {
    if (!seen.completion) return true;
    const generate::Completion& completion = seen.completion->completion;
    const parse::ThoughtfulAnswer parts =
        stages::answer_of(held_out.prompts, stage, completion.text);
    items.push_back(
        {{"id", json_string_or(seen.row.content, "instruction", stage, "")},
         {"answer", parts.answer},
         {"tokens", completion.num_tokens},
         {"finish", stages::has_end(parts, completion)
                        ? "stop"
                        : generate::finish_name(completion.finish)}});
    return true;
  });
  return items;
}

// As the result says of its figure; of what only the text says, lengths are
// none.
bool is_share_of(const std::vector<eval::Metric>& metrics,
                 const std::string& score) {
  for (const eval::Metric& metric : metrics) {
    if (metric.name == score) return metric.is_share;
  }
  return score != "tokens" && score != "words";
}

using Pairs = std::vector<std::pair<std::string, std::string>>;

// The claims of the method, also of adapters given beside the run's (such as of
// other sizes of it), then what each subject has over the base.
Pairs pairs_of(const eval::Results& results, const HeldOutAnswers* held_out) {
  Pairs pairs = {{kPrompted, kEngraved}};
  for (const eval::SubjectInfo& subject : results.subjects) {
    const bool is_stage = subject.name == kEngraved || subject.name == kVerbose;
    if (!subject.adapter.empty() && !is_stage) {
      pairs.emplace_back(kPrompted, subject.name);
    }
  }
  pairs.insert(pairs.end(), {{"short", kEngraved}, {kEngraved, kVerbose}});
  const auto add = [&pairs](const std::string& subject) {
    const std::pair<std::string, std::string> pair{kBase, subject};
    const bool known =
        std::find(pairs.begin(), pairs.end(), pair) != pairs.end();
    if (subject != kBase && !known) pairs.push_back(pair);
  };
  if (held_out != nullptr) {
    for (const stages::Variant& variant : stages::variants()) add(variant.name);
  }
  for (const eval::TaskResult& result : results.results) add(result.subject);
  return pairs;
}

// What is compared.
struct ComparedTask {
  std::string task;
  std::string decoding;
  std::vector<eval::Metric> metrics;  // of the task
};

// A row for each score that items of the same id have on both sides.
void add_differences(const ComparedTask& of, const std::vector<Json>& before,
                     const std::vector<Json>& after,
                     std::vector<ScoreDifference>& rows) {
  std::map<std::string, std::map<std::string, double>> others;
  for (const Json& item : after) {
    others[json_string_or(item, "id", of.task, "")] = scores_of(item);
  }
  // By score, the values of both sides item by item.
  std::map<std::string, std::pair<std::vector<double>, std::vector<double>>>
      columns;
  for (const Json& item : before) {
    const auto other = others.find(json_string_or(item, "id", of.task, ""));
    if (other == others.end()) continue;
    for (const auto& [name, value] : scores_of(item)) {
      const auto same = other->second.find(name);
      if (same == other->second.end()) continue;
      columns[name].first.push_back(value);
      columns[name].second.push_back(same->second);
    }
  }
  for (const auto& [name, sides] : columns) {
    const uint64_t seed =
        Hasher().add("verbose tax").add(of.task).add(name).key();
    rows.push_back({of.task, of.decoding, name, is_share_of(of.metrics, name),
                    eval::mean(sides.first), eval::mean(sides.second),
                    eval::paired_difference(sides.second, sides.first, seed)});
  }
}

}  // namespace

Json text_scores(const Json& item) {
  Json scores = Json::object();
  const std::string answer = answer_of(item);
  if (!item.contains("answer") && !item.contains("answers")) return scores;
  double tokens = 0.0;
  if (item.contains("tokens") && sum_of(item["tokens"], tokens)) {
    scores["tokens"] = tokens;
  }
  scores["words"] = text::count_words(answer);
  if (item.contains("finish")) scores["ended"] = ended(item["finish"]) ? 1 : 0;
  scores["repetition"] = parse::repeated_share(answer);
  scores["repetitive"] = parse::has_repetition(answer) ? 1 : 0;
  return scores;
}

std::vector<SubjectDifferences> differences(const std::string& folder,
                                            const eval::Results& results,
                                            const HeldOutAnswers* held_out) {
  std::map<const eval::TaskResult*, std::vector<Json>> known;
  const auto items_of =
      [&](const eval::TaskResult& result) -> std::vector<Json>& {
    const auto [items, is_new] = known.try_emplace(&result);
    if (is_new) items->second = eval::read_items(folder, result);
    return items->second;
  };
  std::vector<SubjectDifferences> all;
  for (const auto& [before, after] : pairs_of(results, held_out)) {
    SubjectDifferences pair{before, after, {}};
    if (held_out != nullptr) {
      add_differences(
          {"held_out", held_out->own_decoding ? eval::kOwnDecoding : "", {}},
          held_out_items(*held_out, before), held_out_items(*held_out, after),
          pair.rows);
    }
    for (const eval::TaskResult& a : results.results) {
      if (a.subject != before) continue;
      const std::string decoding = eval::decoding_of(a.settings);
      for (const eval::TaskResult& b : results.results) {
        if (b.subject != after || b.task != a.task ||
            eval::decoding_of(b.settings) != decoding) {
          continue;
        }
        add_differences({a.task, decoding, a.metrics}, items_of(a), items_of(b),
                        pair.rows);
      }
    }
    if (!pair.rows.empty()) all.push_back(std::move(pair));
  }
  return all;
}

bool is_verbose_tax(const SubjectDifferences& pair) {
  return pair.before == kEngraved && pair.after == kVerbose;
}

std::string differences_text(const std::vector<SubjectDifferences>& all) {
  std::vector<TextRow> lines = {{"before", "after", "task", "figure", "before",
                                 "after", "difference", "items"}};
  for (const SubjectDifferences& pair : all) {
    for (const ScoreDifference& row : pair.rows) {
      if (row.score.find('.') != std::string::npos) continue;
      lines.push_back(
          {pair.before, pair.after,
           row.task + (row.decoding == eval::kOwnDecoding ? " (own)" : ""),
           row.score, three_digits(row.before), three_digits(row.after),
           str(three_digits(row.change.difference), " [",
               three_digits(row.change.low), ", ",
               three_digits(row.change.high), "]"),
           str(row.change.n)});
    }
  }
  if (lines.size() == 1) return "";
  return "After less before on the same items, 95 % intervals, each for "
         "itself\n" +
         aligned_text(lines) + "\n";
}

std::string held_out_text(const recipe::Recipe& recipe,
                          const store::Reader& store) {
  const recipe::Prompts prompts = recipe::run_prompts(store.folder());
  const HeldOutAnswers held_out{
      store, prompts, recipe.comparison.decoding == eval::kOwnDecoding};
  const std::string text = differences_text(differences("", {}, &held_out));
  return text.empty() ? "" : "\n" + text;
}

}  // namespace selfalign::report
