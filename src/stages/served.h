// SPDX-License-Identifier: Apache-2.0
// Models of a run that servers answer with: opened, given their adapters, and
// held against the base that the run is of.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "generate/generator.h"
#include "generate/probe.h"
#include "recipe/recipe.h"
#include "stages/workbench.h"
#include "store/store.h"

namespace selfalign::stages {

// The name that servers have the adapter in that folder by, or the model that
// was tuned whole: with its digest, for they keep those of other runs.
std::string served_name(const std::string& adapter);

class ServedModels {
 public:
  // All outlive this. `store` null: nothing is recorded.
  ServedModels(const recipe::Recipe& recipe, Workbench& workbench,
               store::Store* store)
      : recipe_(recipe), workbench_(workbench), store_(store) {}

  // As Workbench::open_generator; `name` is "base" or the tuning's folder.
  //
  // Where servers answer for the base, or for one of its adapters, and the
  // model is here, too, or other servers are asked for it, their probes
  // (generate/probe.h) are compared: tokens, and log-probabilities within
  // generate::kSameModel of those of the model here with the adapter, or of
  // what the run met first; an adapter's must differ from the base's by at
  // least half as much as they do here, where that tells. What is compared with
  // is kept in the store. Error kUsage says both values. Where a server tells
  // no log-probabilities, or this machine has no memory for the model, a line
  // says what could not be compared.
  //
  // With serve.reload, that command is run where servers do not answer, or not
  // as they should, and they are waited for.
  std::unique_ptr<generate::Generator> open(const std::string& name,
                                            const recipe::ModelOptions& model,
                                            const std::string& adapter);

 private:
  bool is_compared(const recipe::ModelOptions& model) const;
  // `is_loaded`: that the adapter is in the model is known: it is on this
  // machine, or a command had the servers load it just now.
  std::string flaw(const std::string& name, const std::string& adapter,
                   bool is_loaded, generate::Generator& generator);
  std::optional<generate::Probe> known(const std::string& name) const;
  std::optional<generate::Probe> expected(const std::string& name,
                                          const std::string& adapter);
  void keep(const std::string& name, const generate::Probe& probe);
  void reload(const recipe::ModelOptions& model,
              const std::string& adapter) const;
  std::unique_ptr<generate::Generator> open_again(
      const recipe::ModelOptions& model, const std::string& adapter) const;

  const recipe::Recipe& recipe_;
  Workbench& workbench_;
  store::Store* store_;
  std::map<std::string, generate::Probe> probes_;  // without a store
};

}  // namespace selfalign::stages
