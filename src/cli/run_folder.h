// SPDX-License-Identifier: Apache-2.0
// What the subcommands read of a run folder, and where the prompts are.
#pragma once

#include <CLI/App.hpp>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "recipe/recipe.h"
#include "store/reader.h"
#include "store/signing.h"

namespace selfalign::cli {

// The recipe of the run, from RUN/recipe.resolved.yaml, with run_folder set to
// `folder`: a run that was moved goes on where it is. Error kInput if there is
// no run in the folder.
recipe::Recipe recipe_of_run(const std::string& folder);

// Error kInput where `path` is neither a run folder nor what a model can be.
void require_model_or_run(const std::string& path);

// The adapter of the final tuning, else of the engraving. Error kInput if the
// run has neither yet.
std::string last_adapter(const std::string& folder);

// The folder with meta.yaml: `given` if not empty; else the copy in the run in
// which `adapter` lies; else ./prompts; else prompts beside the program's
// folder. Error kUsage where none of them is there.
std::string find_prompts(const std::string& given, const std::string& adapter);

// {"run", "done", "digest", "stages": [{"stage", "done", "rows",
//  "completions", "kept", "rejected": {reason: count}, "digest", "report"}]}.
// kept, rejected, digest and report stand only in stages that are done.
Json status_json(const store::Reader& store);
// True once the pipeline came to its end, the closing report included.
bool is_done(const store::Reader& store);

// The adapters of the tunings that the run says are done, the last first:
// {"verbose", "RUN/verbose/adapter"}.
std::vector<std::pair<std::string, std::string>> adapters_of_run(
    const std::string& folder);

// A command that a recipe has run: what for, as "trains by", and its line.
struct RecipeCommand {
  std::string does;
  std::string line;
};
std::vector<RecipeCommand> commands_of(const recipe::Recipe& recipe);
// That of serve.reload, if there is one.
std::vector<RecipeCommand> reload_of(const recipe::Recipe& recipe);

// The recipe of a run folder may be somebody else's, and its commands would do
// on this machine whatever they say: Error kUsage where there are any and the
// user has not said so.
void require_allowed(const std::vector<RecipeCommand>& commands,
                     const recipe::Recipe& recipe, bool is_allowed);

// --sign-key of the commands that write to a run, and what it names; null if
// it is not given.
void add_sign_key(CLI::App& command, std::string& path);
std::shared_ptr<const store::SigningKey> read_sign_key(const std::string& path);

}  // namespace selfalign::cli
