// SPDX-License-Identifier: Apache-2.0
// What the data of a run is like: how long, how diverse, how much was the same
// as something before. Reads only.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/record.h"
#include "recipe/prompts.h"
#include "recipe/recipe.h"
#include "store/reader.h"

namespace selfalign::inspect {

struct HistogramBin {
  double from = 0.0;
  double to = 0.0;
  int64_t count = 0;

  static void describe(auto& visit, auto& self) {
    visit("from", self.from);
    visit("to", self.to);
    visit("count", self.count);
  }
};

// Of no values there is the count alone. Percentiles are values that occur
// (nearest rank).
struct Distribution {
  int64_t count = 0;
  double mean = 0.0;
  double p10 = 0.0;
  double p50 = 0.0;
  double p90 = 0.0;
  double max = 0.0;
  // Ten of equal width from the smallest to the 99th percentile, the last one
  // open; one where that is the smallest.
  std::vector<HistogramBin> histogram;

  static void describe(auto& visit, auto& self) {
    visit("count", self.count);
    if (self.count == 0) return;
    visit("mean", self.mean);
    visit("p10", self.p10);
    visit("p50", self.p50);
    visit("p90", self.p90);
    visit("max", self.max);
    visit("histogram", self.histogram);
  }
};
Distribution distribution(std::vector<double> values);

// Share of the n-grams of lower-case words that are different ones, n = 1..3
// (Li et al. 2016, "A diversity-promoting objective function").
struct DistinctNgrams {
  int64_t num_texts = 0;  // they were taken of
  std::array<double, 3> shares{};

  static void describe(auto& visit, auto& self) {
    visit("texts", self.num_texts);
    visit("1", self.shares[0]);
    visit("2", self.shares[1]);
    visit("3", self.shares[2]);
  }
};
DistinctNgrams distinct_ngrams(const std::vector<std::string>& texts);

struct VerbCount {
  std::string verb;
  int64_t count = 0;
  Named<int64_t> nouns;  // the commonest

  static void describe(auto& visit, auto& self) {
    visit("verb", self.verb);
    visit("count", self.count);
    visit("nouns", self.nouns);
  }
};

struct RootVerbs {
  int64_t num_found = 0;  // instructions with one
  int64_t num_verbs = 0;
  int64_t num_pairs = 0;  // of verb and noun
  std::vector<VerbCount> top;

  static void describe(auto& visit, auto& self) {
    visit("with_root_verb", self.num_found);
    visit("different_verbs", self.num_verbs);
    visit("different_verb_noun_pairs", self.num_pairs);
    visit("top", self.top);
  }
};

// Of kept ones; counts have the most frequent first.
struct InstructionStats {
  Distribution words;
  RootVerbs root_verbs;
  Named<int64_t> openings;
  DistinctNgrams distinct_n;
  std::optional<Distribution> nearest_seed;  // ROUGE-L, of a sample
  Named<int64_t> types;

  static void describe(auto& visit, auto& self) {
    visit("words", self.words);
    visit("root_verbs", self.root_verbs);
    visit("openings", self.openings);
    visit("distinct_n", self.distinct_n);
    visit.nullable("nearest_seed_rouge_l", self.nearest_seed);
    visit("types", self.types);
  }
};

struct DuplicateStats {
  int64_t num_made = 0;
  int64_t num_duplicates = 0;

  static void describe(auto& visit, auto& self) {
    visit("made", self.num_made);
    visit("duplicates", self.num_duplicates);
  }
};

struct AnswerStats {
  Distribution tokens;
  Distribution words;
  double share_ended = 0.0;
  DistinctNgrams distinct_n;

  static void describe(auto& visit, auto& self) {
    visit("tokens", self.tokens);
    visit("words", self.words);
    visit("share_ended", self.share_ended);
    visit("distinct_n", self.distinct_n);
  }
};

// Of a run, as far as it has come.
struct RunStats {
  std::string name;
  InstructionStats instructions;
  Named<DuplicateStats> duplicates;  // by stage
  Named<AnswerStats> answers;        // by stage of pairs
  Named<int64_t> principles;         // kept answers that each fired in

  static void describe(auto& visit, auto& self) {
    visit("name", self.name);
    visit("instructions", self.instructions);
    visit("duplicates", self.duplicates);
    visit("answers", self.answers);
    visit("principles", self.principles);
  }
};
RunStats run_stats(const recipe::Recipe& recipe, const recipe::Prompts& prompts,
                   const store::Reader& store);
// The same for a person, `width` characters a line.
std::string stats_text(const RunStats& stats, size_t width);

}  // namespace selfalign::inspect
