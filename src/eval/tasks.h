// SPDX-License-Identifier: Apache-2.0
// The evaluations there are. A task asks one subject all its questions, logs
// every item as it is done, and makes its figures from the logged items alone.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "eval/evaluation.h"
#include "eval/item_log.h"
#include "recipe/decoding.h"

namespace selfalign::eval {

// Numbers of choices by the hash of what was asked of which model.
using KnownValues = std::map<uint64_t, std::vector<double>>;

// How subjects choose the next token: all alike, or each as its stage does.
struct DecodingOptions {
  bool own = false;
  recipe::GivenSampling given;  // beats what a task publishes
};

struct TaskOptions {
  std::string data_folder;     // published sets, found by name at any depth
  std::string prompts_folder;  // with what the project adds to them
  int64_t limit = 0;           // of items, by a seeded sample; 0 is all
  uint64_t seed = 0;           // of that sample, draws and intervals
  DecodingOptions decoding;
  // Where set: what subjects asked before, in a form that is the same for all
  // of a model, is taken from here instead of being asked again.
  KnownValues* known = nullptr;
};

struct Task {
  std::string name;   // "truthfulqa", as --tasks takes it
  std::string title;  // for people
  // Published files it reads, found by name (items.h: find_data).
  std::vector<std::string> files;
  // Asks for what the log lacks. Error kInput names the place of a fault in
  // the data; kInterrupted leaves what is done in the log.
  std::function<TaskResult(const Subject&, ItemLog&, const TaskOptions&)> run;
  // Reads what run() reads: the Errors of run() that need no model.
  std::function<void(const TaskOptions&)> check;
  // Compares log-probabilities of given texts, which not every model tells,
  // and asks with prompts of prompts_folder.
  bool scores = false;
  // Of open questions, which published answers may answer, too: whether these
  // answer any that is asked.
  std::function<bool(const TaskOptions&, const PublishedAnswers&)> answered =
      nullptr;
};

}  // namespace selfalign::eval
