// SPDX-License-Identifier: Apache-2.0
// The paper's tables over models, made of the results of an evaluation: models
// by figures (its Figure 4 and Tables 2 and 3: TruthfulQA and HHH by model),
// and the items behind them side by side.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/record.h"
#include "eval/results.h"

namespace selfalign::report {

// A figure that some model of the table has.
struct TableMetric {
  std::string name;
  std::string title;
  std::optional<double> chance;
  bool higher_is_better = true;
  bool is_share = true;
  std::string note;

  static void describe(auto& visit, auto& self) {
    visit("name", self.name);
    visit("title", self.title);
    visit.nullable("chance", self.chance);
    visit("higher_is_better", self.higher_is_better);
    visit("is_share", self.is_share);
    visit("note", self.note);
  }
};

struct TableFigure {
  double value = 0.0;
  double low = 0.0;  // the value where there is no interval
  double high = 0.0;
  std::string interval;
  int64_t num_items = 0;

  static void describe(auto& visit, auto& self) {
    visit("value", self.value);
    visit("low", self.low);
    visit("high", self.high);
    visit("interval", self.interval);
    visit("num_items", self.num_items);
  }
};

struct TableModel {
  std::string subject;
  std::string title;
  Named<TableFigure> figures;
  int64_t num_failures = 0;

  static void describe(auto& visit, auto& self) {
    visit("subject", self.subject);
    visit("title", self.title);
    visit("figures", self.figures);
    visit("failures", self.num_failures);
  }
};

// A task's results under one decoding, models in order of results.
struct ModelTable {
  std::string task;
  std::string name;      // the task's, with a number if not the first of it
  std::string decoding;  // decoding_of
  std::vector<std::string> decoding_lines;  // for people
  std::vector<TableMetric> metrics;
  std::vector<TableModel> models;

  static void describe(auto& visit, auto& self) {
    visit("task", self.task);
    visit("name", self.name);
    visit("decoding", self.decoding);
    visit("decoding_lines", self.decoding_lines);
    visit("metrics", self.metrics);
    visit("models", self.models);
  }
};
// In order of results: "vicuna", "vicuna (2)".
std::vector<ModelTable> tables_by_model(const eval::Results& results);

// What a subject made of an item; long texts are cut.
struct ShownAnswer {
  Json scores;
  std::string answer;
  std::string more;  // the rest of the item as JSON

  static void describe(auto& visit, auto& self) {
    visit("scores", self.scores);
    visit("answer", self.answer);
    visit("more", self.more);
  }
};

struct ShownItem {
  std::string id;
  std::string group;
  std::string question;
  Named<ShownAnswer> answers;  // by subject

  static void describe(auto& visit, auto& self) {
    visit("id", self.id);
    visit("group", self.group);
    visit("question", self.question);
    visit("answers", self.answers);
  }
};

struct ShownItems {
  int64_t num_items = 0;
  int64_t num_shown = 0;
  std::vector<std::string> files;  // where all of them are
  std::vector<ShownItem> items;

  static void describe(auto& visit, auto& self) {
    visit("total", self.num_items);
    visit("shown", self.num_shown);
    visit("files", self.files);
    visit("items", self.items);
  }
};
// By name of the table, up to `num_shown` items of each, evenly drawn.
Named<ShownItems> items_by_task(const std::string& folder,
                                const eval::Results& results, size_t num_shown);

struct EvaluationReport {
  eval::Results results;  // without keys, which are of results.json
  std::vector<ModelTable> tables;
  Named<ShownItems> items;  // by name of the table

  static void describe(auto& visit, auto& self) {
    eval::Results::describe(visit, self.results);
    visit("tables", self.tables);
    visit("items", self.items);
  }
};
// None where there are no results.
std::optional<EvaluationReport> evaluation_report(const std::string& folder,
                                                  const eval::Results& results);

}  // namespace selfalign::report
