// SPDX-License-Identifier: Apache-2.0
// What the report says of a run beyond its summary (inspect/summary.h): a few
// rows from principle to answer, what was rejected, how the tunings went, and
// what it takes to make the run again. Reads only.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/record.h"
#include "export/data_card.h"
#include "recipe/prompts.h"
#include "recipe/recipe.h"
#include "store/reader.h"

namespace selfalign::report {

// What must be said beside every figure of a run on this base model.
std::string base_model_note(const std::string& model_path);

struct NamedRule {
  int64_t number = 0;  // from 1
  std::string name;
  std::string text;

  static void describe(auto& visit, auto& self) {
    visit("number", self.number);
    visit("name", self.name);
    visit("text", self.text);
  }
};

// Of the instruction that a row answers.
struct SampleOrigin {
  std::string type;  // of the question
  std::string topic;
  std::string verbose;  // what stage 4 wrote for it; "" if it did not

  static void describe(auto& visit, auto& self) {
    visit("type", self.type);
    visit("topic", self.topic);
    visit("verbose", self.verbose);
  }
};

struct SampleAnswer {
  std::string thought;
  std::vector<NamedRule> rules;  // that the thought names
  std::string answer;
  std::string raw;  // as the model wrote it
  int64_t num_tokens = 0;
  std::string finish;

  static void describe(auto& visit, auto& self) {
    visit("thought", self.thought);
    visit("rules", self.rules);
    visit("answer", self.answer);
    visit("raw", self.raw);
    visit("tokens", self.num_tokens);
    visit("finish", self.finish);
  }
};

// A row of stage 2.
struct SampleRow {
  std::string row;  // "align.answers:3"
  bool kept = false;
  std::string reason;
  std::string detail;
  std::string instruction;
  std::optional<SampleOrigin> origin;
  std::optional<SampleAnswer> answer;

  static void describe(auto& visit, auto& self) {
    visit("row", self.row);
    visit("kept", self.kept);
    visit("reason", self.reason);
    visit("detail", self.detail);
    visit("instruction", self.instruction);
    visit.inlined(self.origin);
    visit.inlined(self.answer);
  }
};
// Kept rows, then a row for each reason of rejection. Drawn by their keys, so
// always the same ones.
std::vector<SampleRow> sample_rows(const recipe::Recipe& recipe,
                                   const recipe::Prompts& prompts,
                                   const store::Reader& store);

struct RejectedRow {
  std::string row;
  std::string text;
  std::string detail;

  static void describe(auto& visit, auto& self) {
    visit("row", self.row);
    visit("text", self.text);
    visit("detail", self.detail);
  }
};

struct RejectedReason {
  std::string reason;
  int64_t count = 0;
  std::vector<RejectedRow> examples;

  static void describe(auto& visit, auto& self) {
    visit("reason", self.reason);
    visit("count", self.count);
    visit("examples", self.examples);
  }
};
// By stage.
Named<std::vector<RejectedReason>> rejected_examples(
    const store::Reader& store);

struct CurvePoint {
  int64_t step = 0;
  std::optional<double> loss;
  std::optional<double> learning_rate;

  static void describe(auto& visit, auto& self) {
    visit("step", self.step);
    visit("loss", self.loss);
    visit("learning_rate", self.learning_rate);
  }
};
// By tuning: metrics.jsonl, up to the first line that is none.
Named<std::vector<CurvePoint>> training_curves(const store::Reader& store);

struct ModelName {
  std::string name;
  std::string fingerprint;
  // Of a model that servers answer with: by what they were told to have it
  // (generate/probe.h).
  std::string probe = {};

  static void describe(auto& visit, auto& self) {
    visit("name", self.name);
    visit("fingerprint", self.fingerprint);
    visit.may("probe", self.probe, !self.probe.empty());
  }
};

// As its manifest says; the first version did not say all.
struct AdapterDigests {
  std::string name;
  std::optional<std::string> inputs;
  std::map<std::string, std::string> files;  // digests by name

  static void describe(auto& visit, auto& self) {
    visit("name", self.name);
    visit("inputs", self.inputs);
    visit.may("files", self.files, !self.files.empty());
  }
};

struct Provenance {
  std::string program;
  std::string recipe;  // its text
  std::string prompts_digest;
  std::string digest;
  std::vector<exports::StageDigest> stages;
  std::vector<ModelName> models;
  std::vector<AdapterDigests> adapters;
  std::vector<exports::HashedFile> files;  // recipe and prompts
  std::vector<std::string> commands;       // lines for a shell

  static void describe(auto& visit, auto& self) {
    visit("program", self.program);
    visit("recipe", self.recipe);
    visit("prompts_digest", self.prompts_digest);
    visit("digest", self.digest);
    visit("stages", self.stages);
    visit("models", self.models);
    visit("adapters", self.adapters);
    visit("files", self.files);
    visit("commands", self.commands);
  }
};
Provenance provenance(const store::Reader& store);

}  // namespace selfalign::report
