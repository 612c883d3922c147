// SPDX-License-Identifier: Apache-2.0
#include "inspect/stats.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <unordered_set>

#include "base/error.h"
#include "base/hash.h"
#include "stages/funnel.h"
#include "stages/instructions.h"
#include "stages/principles.h"
#include "text/root_verb.h"
#include "text/rouge.h"
#include "text/rouge_index.h"
#include "text/words.h"

namespace selfalign::inspect {
namespace {

using store::Reader;
using store::Row;

// Diversity depends on how much text it is taken of; so many texts, evenly
// drawn, are compared at most.
constexpr size_t kMaxTexts = 5000;
constexpr size_t kMaxNearest = 500;  // instructions compared with the seeds
constexpr size_t kTopVerbs = 20;     // as in Self-Instruct's Figure 2
constexpr size_t kTopNouns = 4;
constexpr size_t kTopOpenings = 10;

template <typename Item>
std::vector<Item> evenly(const std::vector<Item>& items, size_t count) {
  if (items.size() <= count) return items;
  std::vector<Item> drawn;
  for (size_t i = 0; i < count; ++i) {
    drawn.push_back(items[i * items.size() / count]);
  }
  return drawn;
}

// The most frequent first, by name on a tie.
Named<int64_t> ranked(const std::map<std::string, int64_t>& counts,
                      size_t limit) {
  Named<int64_t> all(counts.begin(), counts.end());
  std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
    return a.second > b.second;
  });
  if (all.size() > limit) all.resize(limit);
  return all;
}

RootVerbs root_verbs(const std::vector<std::string>& instructions) {
  std::map<std::string, int64_t> verbs;
  std::map<std::string, std::map<std::string, int64_t>> nouns;
  RootVerbs all;
  for (const std::string& instruction : instructions) {
    const auto root = text::find_root_verb(instruction);
    if (!root) continue;
    ++all.num_found;
    ++verbs[root->verb];
    if (!root->noun.empty()) ++nouns[root->verb][root->noun];
  }
  all.num_verbs = int64_t(verbs.size());
  for (const auto& [verb, of_verb] : nouns) {
    all.num_pairs += int64_t(of_verb.size());
  }
  for (const auto& [verb, count] : ranked(verbs, kTopVerbs)) {
    all.top.push_back({verb, count, ranked(nouns[verb], kTopNouns)});
  }
  return all;
}

Named<int64_t> openings(const std::vector<std::string>& instructions) {
  std::map<std::string, int64_t> counts;
  for (const std::string& instruction : instructions) {
    const std::vector<std::string> words = text::rouge_words(instruction);
    if (words.size() >= 2) ++counts[words[0] + " " + words[1]];
  }
  return ranked(counts, kTopOpenings);
}

std::optional<Distribution> nearest_seeds(
    const Reader& store, const std::vector<std::string>& instructions) {
  text::RougeIndex seeds(0.0);
  for (const Row& row : store.rows("instruct.seeds")) {
    seeds.add(json_string(row.content, "instruction", row.stage));
  }
  if (seeds.size() == 0) return std::nullopt;
  std::vector<double> scores;
  for (const std::string& text : evenly(instructions, kMaxNearest)) {
    const auto match = seeds.find_above(text);
    scores.push_back(match ? match->score : 0.0);
  }
  return distribution(std::move(scores));
}

InstructionStats instruction_stats(const Reader& store) {
  std::vector<std::string> texts;
  std::vector<double> words;
  std::map<std::string, int64_t> types;
  for (const Row& row : stages::kept_instructions(store)) {
    texts.push_back(json_string(row.content, "instruction", row.stage));
    words.push_back(double(text::count_words(texts.back())));
    ++types[stages::question_type(row)];
  }
  return {distribution(std::move(words)),
          root_verbs(texts),
          openings(texts),
          distinct_ngrams(texts),
          nearest_seeds(store, texts),
          ranked(types, types.size())};
}

Named<DuplicateStats> duplicate_stats(const Reader& store) {
  Named<DuplicateStats> all;
  for (const char* stage :
       {"instruct.tasks", "redteam.topics", "redteam.questions"}) {
    const auto manifest = store.manifest(stage);
    if (!manifest) continue;
    const stages::Funnel funnel = stages::funnel_of(*manifest);
    const int64_t* duplicates = find_named(funnel.rejected, "duplicate");
    all.emplace_back(
        stage, DuplicateStats{funnel.num_made, duplicates ? *duplicates : 0});
  }
  return all;
}

AnswerStats answer_stats(const Reader& store, const std::string& stage) {
  std::vector<std::string> texts;
  std::vector<double> tokens;
  std::vector<double> words;
  int64_t num_ended = 0;
  store.scan(stage, "", [&](const store::SeenRow& seen) {
    const Json& content = seen.row.content;
    texts.push_back(json_string(content, "response", stage));
    tokens.push_back(json_number_or(content, "tokens", stage, 0.0));
    words.push_back(double(text::count_words(texts.back())));
    num_ended += json_bool_or(content, "ends", stage, true);
    return true;
  });
  const double count = double(std::max<size_t>(texts.size(), 1));
  return {distribution(std::move(tokens)), distribution(std::move(words)),
          double(num_ended) / count, distinct_ngrams(texts)};
}

// Kept answers that each principle fired in, also those where it never did.
Named<int64_t> principle_stats(const Reader& store,
                               const recipe::Prompts& prompts) {
  const stages::PrincipleUse use = stages::principle_use(store, prompts);
  Named<int64_t> all;
  all.reserve(use.rules.size());
  for (size_t i = 0; i < use.rules.size(); ++i) {
    all.emplace_back(str(i + 1, " (", use.rules[i], ")"),
                     use.num_fired(i).kept);
  }
  return all;
}

}  // namespace

Distribution distribution(std::vector<double> values) {
  Distribution out;
  out.count = int64_t(values.size());
  if (values.empty()) return out;
  std::sort(values.begin(), values.end());
  const auto rank = [&values](double share) {
    const double place = std::ceil(share * double(values.size())) - 1.0;
    return values[size_t(std::max(place, 0.0))];
  };
  double sum = 0.0;
  for (const double value : values) sum += value;
  out.mean = sum / double(values.size());
  out.p10 = rank(0.1);
  out.p50 = rank(0.5);
  out.p90 = rank(0.9);
  out.max = values.back();
  constexpr int kNumBins = 10;
  const double low = values[0];
  const double width = (rank(0.99) - low) / kNumBins;
  std::vector<HistogramBin>& bins = out.histogram;
  bins.resize(width > 0.0 ? kNumBins : 1);
  for (size_t i = 0; i < bins.size(); ++i) {
    const bool last = i + 1 == bins.size();
    bins[i].from = low + width * double(i);
    bins[i].to = last ? values.back() : low + width * double(i + 1);
  }
  for (const double value : values) {
    const double bin = width > 0.0 ? (value - low) / width : 0.0;
    ++bins[std::min(size_t(bin), bins.size() - 1)].count;
  }
  return out;
}

DistinctNgrams distinct_ngrams(const std::vector<std::string>& texts) {
  constexpr size_t kMaxOrder = 3;
  std::unordered_set<uint64_t> seen[kMaxOrder];
  int64_t total[kMaxOrder] = {};
  const std::vector<std::string> drawn = evenly(texts, kMaxTexts);
  for (const std::string& text : drawn) {
    const std::vector<std::string> words = text::rouge_words(text);
    for (size_t n = 1; n <= kMaxOrder; ++n) {
      for (size_t i = 0; i + n <= words.size(); ++i) {
        Hasher hasher;
        for (size_t k = 0; k < n; ++k) hasher.add(words[i + k]);
        seen[n - 1].insert(hasher.key());
        ++total[n - 1];
      }
    }
  }
  DistinctNgrams out;
  out.num_texts = int64_t(drawn.size());
  for (size_t i = 0; i < kMaxOrder; ++i) {
    if (total[i] == 0) continue;
    out.shares[i] = double(seen[i].size()) / double(total[i]);
  }
  return out;
}

RunStats run_stats(const recipe::Recipe& recipe, const recipe::Prompts& prompts,
                   const Reader& store) {
  RunStats stats;
  stats.name = recipe.name;
  stats.instructions = instruction_stats(store);
  stats.duplicates = duplicate_stats(store);
  for (const std::string& stage : store.stages()) {
    if (!stage.ends_with(".pairs")) continue;
    stats.answers.emplace_back(stage, answer_stats(store, stage));
  }
  stats.principles = principle_stats(store, prompts);
  return stats;
}

}  // namespace selfalign::inspect
