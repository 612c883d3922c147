// SPDX-License-Identifier: Apache-2.0
// Every stage of a run, once: what its rows are, where they come from, who goes
// by a person's decisions on them, and what a model was asked with. Whatever
// lists stages goes through these tables; a new stage is a new line here.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "generate/generator.h"
#include "recipe/recipe.h"

namespace selfalign::stages {

// How one and the same base model is asked what is held out: a prompt, and
// perhaps one of the run's adapters. Also the subjects of an evaluation.
struct Variant {
  std::string name;         // "short", as in the stages' names
  std::string title;        // heads a column
  std::string description;  // names the subject of an evaluation
  std::string prompt_files;
  // Of a tuned one, else "": its folder in the run, the stage that made it and
  // the form of the prompt that it was trained under (recipe/chat.h).
  std::string folder;
  std::string adapter_stage;
  std::string form;
  TuneOptions recipe::Recipe::*options = nullptr;

  // The recipe's stage that tunes it, "" if none: "engrave".
  std::string stage() const {
    return adapter_stage.substr(0, adapter_stage.find('.'));
  }
  // Where its tuning's result lies in the run: "engraved/adapter".
  std::string result(const recipe::Recipe& recipe) const {
    return folder + "/" + (recipe.*options).result_folder();
  }
};
// All there are, in the order in which they are shown.
const std::vector<Variant>& variants();
// Null where `name` is none.
const Variant* find_variant(const std::string& name);
// Names of those that a recipe compares, in the order of the work.
std::vector<std::string> compared_variants(const recipe::Recipe& recipe);
// How a variant is asked, as the recipe compares: all alike, or each as its
// stage samples. Without stop strings.
generate::Sampling variant_sampling(const recipe::Recipe& recipe,
                                    const std::string& variant);

enum class StageKind {
  kGiven,     // what a person gave: seeds, instructions, questions
  kRequests,  // what a model was asked; the completions are read into items
  kItems,     // parts of completions, each judged
  kAnswers,   // what a model was asked, each completion judged as it is
  kPairs,     // instruction and kept answer
  kSamples,   // what a tuning learns from
  kAdapter,   // a tuning; no rows
  kLoss,      // a mean of log-probabilities; no rows
};

struct Stage {
  std::string name;
  StageKind kind;
  std::string title;                 // for people: what the rows are
  std::vector<std::string> parents;  // stages that its rows came from
  // First stages to go by a person's decisions on its rows; none: there are no
  // decisions on them.
  std::vector<std::string> deciders = {};
  // Of requests and answers: what the prompt is made from, how the model
  // chooses tokens, and whether it writes internal thoughts before an answer.
  std::string prompt_files = {};
  std::function<generate::Sampling(const recipe::Recipe&)> sampling = nullptr;
  bool has_thoughts = false;
};
// In the order in which a run makes them. A refill's stages stand for those of
// all rounds, as "refill.N.answers".
const std::vector<Stage>& stage_table();
// The entry for a stage as a store names it ("refill.2.answers"); null for what
// is none.
const Stage* find_stage(const std::string& name);
// Its title; the name itself of what is no stage.
std::string stage_title(const std::string& name);

// The stages of one round of refilling, from 1 (refill.h).
struct RefillStages {
  std::string requests;
  std::string questions;
  std::string answers;
  std::string pairs;
};
RefillStages refill_stages(int round);
// The stage whose work a refill's stage does: "align.answers" of
// "refill.2.answers"; other names as they are.
std::string unrefilled(const std::string& stage);

}  // namespace selfalign::stages
