// SPDX-License-Identifier: Apache-2.0
#include "recipe/recipe.h"

#include <CLI/CLI.hpp>
#include <memory>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/lines.h"
#include "recipe/recipe_file.h"
#include "recipe/recipe_reference.h"
#include "recipe/recipe_text.h"

namespace selfalign::cli {
namespace {

constexpr char kFooter[] = R"(Check a recipe and see what it comes to:
  selfalign recipe recipes/smollm2-demo.yaml

An editor that knows JSON Schema completes and checks the keys with the first
line of a recipe being
  # yaml-language-server: $schema=recipe.schema.json
and the file made by
  selfalign recipe --schema > recipe.schema.json)";

struct RecipeFlags {
  std::string path;
  bool reference = false;
  bool schema = false;
};

void show_recipe(const RecipeFlags& flags) {
  if (flags.reference) {
    write_out(recipe::recipe_reference());
  } else if (flags.schema) {
    write_out(recipe::recipe_schema().dump(2) + "\n");
  } else if (!flags.path.empty()) {
    write_out(recipe::recipe_to_yaml(recipe::read_recipe(flags.path), true));
  } else {
    throw Error(ErrorKind::kUsage,
                "recipe: name a file, --reference or --schema");
  }
}

}  // namespace

void add_recipe(CLI::App& app, Shell& shell) {
  CLI::App* command = app.add_subcommand(
      "recipe", "Check a recipe and show it with every key written out");
  auto flags = std::make_shared<RecipeFlags>();
  CLI::Option* path = command->add_option("recipe", flags->path, "YAML file");
  CLI::Option* reference =
      command
          ->add_flag("--reference", flags->reference,
                     "every key with its default, range and meaning, as "
                     "Markdown")
          ->excludes(path);
  command->add_flag("--schema", flags->schema, "the same as a JSON Schema")
      ->excludes(path)
      ->excludes(reference);
  command->footer(kFooter);
  set_action(*command, shell, [flags] { show_recipe(*flags); });
}

}  // namespace selfalign::cli
