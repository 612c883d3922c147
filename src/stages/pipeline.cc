#include "stages/pipeline.h"

#include <filesystem>
#include <map>

#include "base/error.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "stages/align.h"
#include "stages/engrave.h"
#include "stages/funnel.h"
#include "stages/given.h"
#include "stages/held_out.h"
#include "stages/instruct.h"
#include "stages/refill.h"
#include "stages/run.h"
#include "stages/summary.h"
#include "stages/tune.h"
#include "stages/verbose.h"
#include "stages/yaml.h"

namespace selfalign::stages {
namespace {

constexpr char kRecipeFile[] = "/recipe.resolved.yaml";

// Every field of a resolved recipe as "a.b" -> text.
void flatten(const YAML::Node& node, const std::string& name,
             std::map<std::string, std::string>& fields) {
  if (!node.IsMap()) {
    YAML::Emitter out;
    out << YAML::Flow << node;
    fields[name] = out.c_str();
    return;
  }
  for (const auto& entry : node) {
    const std::string key = entry.first.Scalar();
    flatten(entry.second, name.empty() ? key : name + "." + key, fields);
  }
}

// Places may move; the model is checked by its fingerprint, prompts, given
// data and evaluation sets by their digests.
bool is_place(const std::string& field) {
  return field == "run_folder" || field == "model.path" ||
         field == "prompts_folder" || field == "prompts_overlay" ||
         field == "instructions.path" || field == "data.path" ||
         field == "contamination.sets";
}

void check_same_recipe(const Recipe& recipe, const std::string& path) {
  std::map<std::string, std::string> old_fields, new_fields;
  // Through read_recipe: what an older version did not know has its default.
  flatten(YAML::Load(recipe_to_yaml(read_recipe(path))), "", old_fields);
  flatten(YAML::Load(recipe_to_yaml(recipe)), "", new_fields);
  std::string differences;
  for (const auto& [field, value] : new_fields) {
    if (is_place(field) || old_fields[field] == value) continue;
    differences += str(differences.empty() ? "" : ", ", field, " (was ",
                       old_fields[field], ", is ", value, ")");
  }
  if (!differences.empty()) {
    throw Error(ErrorKind::kUsage,
                str(path,
                    ": expected the recipe this run was begun with, "
                    "found other values of ",
                    differences,
                    "; go on with the old values, or give the new ones "
                    "another run_folder"));
  }
}

// Keeps a copy of the prompts with the run: its evidence, and what a later
// process goes on with.
void keep_prompts(const Recipe& recipe, bool begun, store::Store& store) {
  const std::string copy = store.folder() + "/prompts";
  const auto known = begun ? store.meta("prompts.digest") : std::nullopt;
  if (known && !std::filesystem::exists(recipe.prompts_folder)) return;
  const std::string& overlay = recipe.prompts_overlay;
  if (known && !overlay.empty() && !std::filesystem::exists(overlay)) return;
  const Prompts prompts = load_prompts(recipe.prompts_folder, overlay);
  if (known && *known != prompts.digest) {
    throw Error(
        ErrorKind::kUsage,
        str(recipe.prompts_folder, overlay.empty() ? "" : " and ", overlay,
            ": expected the prompts this run was begun with (a copy "
            "is in ",
            copy,
            "), found others; restore them, or give the new "
            "ones another run_folder"));
  }
  if (known) return;
  make_folder(copy);
  for (const std::string& file : prompt_files()) {
    write_file_atomic(
        copy + "/" + file,
        read_file(prompt_path(recipe.prompts_folder, overlay, file)));
  }
  store.set_meta("prompts.digest", prompts.digest);
}

Prompts kept_prompts(const store::Store& store) {
  Prompts prompts = load_prompts(store.folder() + "/prompts");
  if (store.meta("prompts.digest") != prompts.digest) {
    throw Error(ErrorKind::kDamaged,
                str(store.folder(),
                    "/prompts: expected the prompts this run "
                    "was begun with, found others; restore "
                    "them from a copy"));
  }
  return prompts;
}

void require_rows(const store::Store& store, const std::string& what,
                  size_t num_rows) {
  if (num_rows > 0) return;
  throw Error(ErrorKind::kFailed,
              str(store.folder(), ": expected at least one ", what,
                  ", found none; look at the reasons of rejection above and "
                  "at the raw text with: selfalign show RUN ROW"));
}

}  // namespace

std::unique_ptr<store::Store> open_run(const Recipe& recipe) {
  auto store = store::Store::open(recipe.run_folder, store::OpenMode::kWrite);
  const std::string path = recipe.run_folder + kRecipeFile;
  // Until there is a row, recipe and prompts may still change.
  const bool begun = !store->stages().empty();
  if (begun) {
    check_same_recipe(recipe, path);
  } else {
    write_file_atomic(path, recipe_to_yaml(recipe));
  }
  keep_prompts(recipe, begun, *store);
  return store;
}

void run_pipeline(const Recipe& recipe, Workbench& workbench,
                  store::Store& store) {
  const Prompts prompts = kept_prompts(store);
  Models models(recipe, workbench, store);
  const Run run{recipe, prompts, store, workbench, models};

  // 1. The base model writes instructions, from seeds and adversarial topics;
  // or a person gives them.
  if (recipe.has("instruct")) run_instruct(run);
  if (!recipe.instructions.path.empty()) take_instructions(run);

  // 2. It answers them under the principles; thoughts are cut out and kept.
  if (recipe.has("align")) {
    require_rows(store, "instruction", kept_instructions(store).size());
    run_align(run);
    require_rows(store, "pair", size_t(store.num_rows("align.pairs")));
    // Principles that fired too seldom get further questions, if asked for.
    run_refill(run);
  }

  // 3. The principles move into its weights.
  if (recipe.has("engrave")) {
    run_engrave(run);
    SELFALIGN_CHECK(stage_done(store, "engrave.adapter"));
  }

  // 4. The engraved model answers at length; the base is tuned on that.
  if (recipe.has("verbose")) {
    run_verbose(run);
    SELFALIGN_CHECK(stage_done(store, "verbose.adapter"));
  }

  // A baseline in place of all that: the base is tuned on given data.
  if (recipe.has("tune")) {
    run_tune(run);
    SELFALIGN_CHECK(stage_done(store, "tune.adapter"));
  }

  // What came of it, on instructions nobody has seen.
  run_held_out(run);
  models.close();
  write_summary(recipe, store);
  log_info("run digest: " + store.run_digest());
}

}  // namespace selfalign::stages
