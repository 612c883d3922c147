// The options that say which model to compute with, shared by the subcommands
// that need one.
#pragma once

#include <CLI/App.hpp>
#include <memory>
#include <string>

#include "generate/generator.h"
#include "stages/recipe.h"

namespace selfalign::cli {

struct ModelFlags {
  stages::ModelOptions model;
  std::string adapter;  // PEFT folder; empty: the base model

  // --device and --dtype.
  void add_compute(CLI::App& command);
  // --slots and --max-context.
  void add_engine(CLI::App& command);
  // --model (required), --adapter and all of the above.
  void add_all(CLI::App& command);
};

}  // namespace selfalign::cli
