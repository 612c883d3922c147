// SPDX-License-Identifier: Apache-2.0
// Whether generated text stands in an evaluation set: what a model is measured
// on must not be trained on. Two checks, as usual in the field: as many words
// in a row as in one of the set's texts (Brown et al. 2020, appendix C: 13),
// questions and answers alike; or a ROUGE-L with one of its questions above a
// threshold, which finds short questions and reworded ones. The held-out
// instructions of the run are always guarded.
#pragma once

#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/record.h"
#include "formats/evaluation_sets.h"
#include "parse/filters.h"
#include "recipe/prompts.h"
#include "recipe/recipe.h"
#include "store/store.h"
#include "text/rouge_index.h"

namespace selfalign::stages {

struct Contamination {
  std::string set;   // "truthfulqa/TruthfulQA.csv", "held_out"
  std::string item;  // its id
  std::string kind;  // "ngram", "near_match"
  std::string text;  // the words in common; the question and the score
};

class ContaminationGuard {
 public:
  // Reads the sets; Error kInput names what is wrong in a file. Those that a
  // command line names may be pipes.
  ContaminationGuard(const recipe::ContaminationOptions& options,
                     const std::vector<recipe::HeldOutInstruction>& held_out,
                     bool may_be_pipes = false);

  // The first item that `text` has words of, else one that it is near to: the
  // text as a whole or one of its paragraphs.
  std::optional<Contamination> find(const std::string& text) const;
  // The same as a rejection: reason "contaminated", detail "set, item, kind".
  parse::Judgement judge(const std::string& text) const;

  // {name, number of items}, in the order given, held_out first.
  const std::vector<std::pair<std::string, size_t>>& sets() const {
    return sets_;
  }
  // Of all that is guarded and how.
  std::string digest() const { return digest_; }

 private:
  struct Place {
    uint32_t set;
    uint32_t item;
  };
  void guard(const formats::EvaluationSet& set);
  void add_ngrams(const std::string& text, Place place);
  std::optional<Contamination> find_ngram(const std::string& text) const;
  std::optional<Contamination> find_near(const std::string& text) const;
  Contamination found(Place place, std::string kind, std::string text) const;

  recipe::ContaminationOptions options_;
  std::vector<std::pair<std::string, size_t>> sets_;
  std::vector<std::vector<std::string>> ids_;   // [set][item]
  std::unordered_map<uint64_t, Place> ngrams_;  // hash of the words -> first
  text::RougeIndex questions_;
  std::vector<Place> question_places_;       // as in questions_
  std::vector<std::string> question_texts_;  // the same
  std::string digest_;
};

// Checks that a run is gone on with under the same guard (Error kUsage), or
// notes the guard for a run that begins.
void keep_guard(const ContaminationGuard& guard, store::Store& store);

// Contaminated rows of one set, by kind.
struct ContaminationKinds {
  int64_t ngram = 0;
  int64_t near_match = 0;

  static void describe(auto& visit, auto& self) {
    visit("ngram", self.ngram);
    visit("near_match", self.near_match);
  }
};

struct ContaminationCounts {
  int64_t num_rows = 0;
  int64_t num_contaminated = 0;
  int64_t num_kept = 0;  // contaminated rows that no filter rejected

  static void describe(auto& visit, auto& self) {
    visit("rows", self.num_rows);
    visit("contaminated", self.num_contaminated);
    visit("kept", self.num_kept);
  }
};

struct ContaminatedStage {
  ContaminationCounts counts;
  Named<ContaminationKinds> sets;

  static void describe(auto& visit, auto& self) {
    ContaminationCounts::describe(visit, self.counts);
    visit("sets", self.sets);
  }
};

struct ContaminatedRow {
  std::string row;  // "instruct.tasks:3"
  std::string stage;
  bool kept = false;
  Contamination found;
  std::string text;  // of the row, shortened

  static void describe(auto& visit, auto& self) {
    visit("row", self.row);
    visit("stage", self.stage);
    visit("kept", self.kept);
    visit("set", self.found.set);
    visit("item", self.found.item);
    visit("kind", self.found.kind);
    visit("found", self.found.text);
    visit("text", self.text);
  }
};

// Every generated row of a run (instructions, questions, answers of all
// stages, kept and rejected) against the guard.
struct ContaminationReport {
  Named<int64_t> sets;  // items by name
  int64_t ngram_words = 0;
  double max_rouge_l = 0.0;
  ContaminationCounts counts;
  Named<ContaminatedStage> stages;
  std::vector<ContaminatedRow> examples;  // of a stage, kept ones first

  static void describe(auto& visit, auto& self) {
    visit("sets", self.sets);
    visit("ngram_words", self.ngram_words);
    visit("max_rouge_l", self.max_rouge_l);
    ContaminationCounts::describe(visit, self.counts);
    visit("stages", self.stages);
    visit("examples", self.examples);
  }
};
// Up to `num_examples` a stage.
ContaminationReport contamination_report(
    const store::Reader& store, const ContaminationGuard& guard,
    const recipe::ContaminationOptions& options, size_t num_examples);
std::string contamination_text(const ContaminationReport& report);

}  // namespace selfalign::stages
