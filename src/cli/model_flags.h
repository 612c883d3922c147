// SPDX-License-Identifier: Apache-2.0
// The options that say which model to compute with, shared by the subcommands
// that need one.
#pragma once

#include <CLI/App.hpp>
#include <string>
#include <vector>

#include "generate/generator.h"
#include "recipe/recipe.h"

namespace selfalign::cli {

struct ModelFlags {
  recipe::ModelOptions model;
  std::string adapter;              // PEFT folder; empty: the base model
  std::vector<std::string> prices;  // IN,OUT or NAME=IN,OUT

  // The model at `path` with the price of --price: that of the server's NAME,
  // else the one without a name. Error kUsage for what is no price.
  recipe::ModelOptions model_at(const std::string& path) const;
  // A model of a recipe, with what `command` was given of it in its place.
  recipe::ModelOptions over(recipe::ModelOptions recipe,
                            const CLI::App& command) const;
  // Error kUsage where an option given has no effect on any of the models at
  // `paths`: prices of none of them or given twice, --api and --api-key-file
  // without a server,
  // --device, --dtype and --weights without a model of this machine.
  void check_use(const CLI::App& command,
                 const std::vector<std::string>& paths) const;

  // --device, --dtype and --weights.
  void add_compute(CLI::App& command);
  // --slots and --max-context.
  void add_engine(CLI::App& command);
  // Of models behind a server: --api and --api-key-file; --price.
  void add_api(CLI::App& command);
  void add_price(CLI::App& command);
  // --model (required), --adapter, and those of computing and the engine.
  void add_all(CLI::App& command);

 private:
  void put_price(recipe::ModelOptions& options) const;
};

}  // namespace selfalign::cli
