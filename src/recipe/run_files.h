// SPDX-License-Identifier: Apache-2.0
// What a run keeps of its recipe and its prompts: copies in its folder, which
// decide, and which a later recipe is compared with field by field.
#pragma once

#include <string>

#include "base/error.h"
#include "recipe/prompts.h"
#include "recipe/recipe.h"
#include "store/store.h"

namespace selfalign::recipe {

// Whether the folder is a run's: its store or the copy of its recipe is there,
// whatever became of the other.
bool is_run_folder(const std::string& folder);

// True once all the copies were written, as the store says.
bool has_run_files(const std::string& folder);

// What `read` reads of files in the run's folder. That one is missing, or is no
// file, is damage of a run that has them, no bad input: Error kDamaged.
[[noreturn]] void throw_of_run(const std::string& folder, const Error& error);
template <typename Read>
auto read_run_file(const std::string& folder, const Read& read) {
  try {
    return read();
  } catch (const Error& error) {
    throw_of_run(folder, error);
  }
}

// The run's own copy of its recipe and of the prompts, read so. Error kInput
// for a run that was ended before it had them.
Recipe run_recipe(const std::string& folder);
Prompts run_prompts(const std::string& folder);
// Those of recipe_of_run (cli/run_folder.h).
Prompts run_prompts(const Recipe& recipe);

// Writes the copies while the run has no row; after that checks that recipe
// and prompts say the same as they do (comments and places may differ). Error
// kUsage lists every field that differs, old and new.
void keep_run_files(const Recipe& recipe, store::Store& store);

// The copy of the recipe gets the places of this one (of models, servers, data;
// commands, prices), which `resume` and `evaluate` go by; a message names them.
// For a recipe whose models were found to be the run's. The copy of the prompts
// stays, and with it their place. A folder without a copy, as an ablation's, is
// left as it is.
void keep_places(Recipe recipe, const std::string& folder);

// The prompts that a recipe names. Error kUsage also where they lack what the
// recipe asks of them.
Prompts fitting_prompts(const Recipe& recipe);

// The run's own copy. Error kDamaged names the files that are not what the run
// was begun with.
Prompts kept_prompts(const store::Reader& store);

// What was changed in the copies since the run was begun, a line for each field
// of the recipe and each prompt file; "" if nothing was.
std::string edited_recipe(const store::Reader& store);
std::string edited_prompts(const store::Reader& store);

// "cpu bfloat16 (was), cpu float32 (is)": where two fingerprints of a
// generator part; both in full where they are built differently.
std::string fingerprint_difference(const std::string& was,
                                   const std::string& is);

}  // namespace selfalign::recipe
