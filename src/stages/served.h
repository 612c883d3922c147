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
#include "stages/stage_table.h"
#include "stages/workbench.h"
#include "store/store.h"

namespace selfalign::stages {

// The name that servers have the adapter in that folder by, or the model that
// was tuned whole: with its digest, for they keep those of other runs.
std::string served_name(const std::string& adapter);

// What the run's model of that name ("base", or a tuning's folder) was found to
// be known by; nothing where it was not asked yet.
std::optional<generate::Probe> known_probe(const store::Reader& run,
                                           const std::string& name);

class ServedModels {
 public:
  // All outlive this. What the run that `known` reads has met is compared with;
  // null: nothing yet. What is met is kept in `store`; null: for as long as
  // this is there.
  ServedModels(const recipe::Recipe& recipe, Workbench& workbench,
               const store::Reader* known, store::Store* store)
      : recipe_(recipe), workbench_(workbench), known_(known), store_(store) {}

  // As Workbench::open_generator; `name` is "base" or the tuning's folder.
  //
  // Where servers answer for the base, or for one of its adapters, and the
  // model is here, too, or other servers are asked for it, their probes
  // (generate/probe.h) are compared: tokens, and log-probabilities within
  // generate::kSameModel of those of the model here with the adapter, or of
  // what the run met first; they must be nearest to the wanted one of the run's
  // models. What is compared with is kept in the store. Error kUsage says both
  // values. Where a server tells no log-probabilities, or this machine has no
  // memory for the model, a line says what could not be compared.
  //
  // With serve.reload, which may be somebody else's command (the caller asks
  // whether it is allowed), that command is run where servers do not answer,
  // not as they should, or had another model loaded last; and they are waited
  // for.
  std::unique_ptr<generate::Generator> open(const std::string& name,
                                            const recipe::ModelOptions& model,
                                            const std::string& adapter);

 private:
  bool is_compared(const recipe::ModelOptions& model) const;
  std::string flaw(const std::string& name, const recipe::ModelOptions& model,
                   const std::string& adapter, generate::Generator& generator);
  static std::string other_name(const std::string& adapter,
                                const std::string& called);
  std::string nearer_model(const std::string& name,
                           const generate::Probe& wanted,
                           const generate::Probe& found);
  std::string last_loaded(const recipe::ModelOptions& model) const;
  void keep_loaded(const recipe::ModelOptions& model,
                   const std::string& name) const;
  std::optional<generate::Probe> known(const std::string& name) const;
  std::optional<generate::Probe> expected(const std::string& name,
                                          const std::string& adapter);
  std::optional<generate::Probe> expected_of(const Variant& variant,
                                             const std::string& name);
  void keep(const std::string& name, const generate::Probe& probe);
  void reload(const recipe::ModelOptions& model,
              const std::string& adapter) const;
  std::unique_ptr<generate::Generator> open_again(
      const recipe::ModelOptions& model, const std::string& adapter) const;

  const recipe::Recipe& recipe_;
  Workbench& workbench_;
  const store::Reader* known_;
  store::Store* store_;
  std::map<std::string, generate::Probe> probes_;  // without a store
};

}  // namespace selfalign::stages
