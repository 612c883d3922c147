// SPDX-License-Identifier: Apache-2.0
#include "cli/run_folder.h"

#include <filesystem>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/folder.h"
#include "base/joined.h"
#include "base/own_file.h"
#include "base/shown.h"
#include "formats/model_path.h"
#include "generate/remote_address.h"
#include "recipe/prompts.h"
#include "recipe/run_files.h"
#include "stages/funnel.h"
#include "stages/stage_table.h"

namespace selfalign::cli {
namespace {

namespace fs = std::filesystem;

Json stage_json(const store::Reader& store, const std::string& stage) {
  Json out{{"stage", stage}, {"done", false}};
  const std::optional<store::Manifest> manifest = store.manifest(stage);
  out["rows"] = manifest ? manifest->num_rows : store.num_rows(stage);
  out["completions"] = store.num_completions(stage);
  if (!manifest) return out;
  const stages::Funnel funnel = stages::funnel_of(*manifest);
  out["done"] = true;
  out["kept"] = funnel.num_kept;
  out["rejected"] = Json::object();
  for (const auto& [reason, count] : funnel.rejected) {
    out["rejected"][reason] = count;
  }
  out["digest"] = manifest->digest;
  out["report"] = manifest->report;
  return out;
}

// Error kDamaged where the adapter of a run or a file of it is a link.
void require_own(const fs::path& run, const fs::path& adapter) {
  require_own_path(run, adapter);
  if (!fs::is_directory(run / adapter)) return;  // whoever reads it says so
  for (const fs::path file : list_folder(run / adapter)) {
    require_own_path(run, adapter / file.filename());
  }
}

}  // namespace

std::vector<RecipeCommand> reload_of(const recipe::Recipe& recipe) {
  if (recipe.serve.reload.empty()) return {};
  return {{"has servers reload by", recipe.serve.reload}};
}

std::vector<RecipeCommand> commands_of(const recipe::Recipe& recipe) {
  std::vector<RecipeCommand> commands = reload_of(recipe);
  if (recipe.train.is_command()) {
    commands.push_back({"trains by", recipe.train.command});
  }
  return commands;
}

void require_allowed(const std::vector<RecipeCommand>& commands,
                     const recipe::Recipe& recipe, bool is_allowed) {
  if (is_allowed || commands.empty()) return;
  throw Error(
      ErrorKind::kUsage,
      str(recipe.run_folder, ": its recipe ",
          joined(commands, ", and ",
                 [](const RecipeCommand& command) {
                   return str(command.does, " a command, \"",
                              shown(command.line), "\"");
                 }),
          "; look at it, then add --allow-command, or go on by your own "
          "recipe: selfalign run RECIPE"));
}

recipe::Recipe recipe_of_run(const std::string& folder) {
  if (!recipe::is_run_folder(folder)) {
    throw Error(
        ErrorKind::kInput,
        str(folder, ": this is no run folder, for it has no ",
            recipe::kRecipeFile + 1, "; make one with: selfalign run RECIPE"));
  }
  const fs::path whole = fs::absolute(folder).lexically_normal();
  recipe::Recipe recipe = recipe::run_recipe(whole);
  recipe.run_folder = whole;
  // The run's own copy, whatever became of the original; complete once its
  // last file is there, and whatever became of that once the store says so.
  const fs::path prompts = whole / "prompts";
  if (is_file(prompts / recipe::prompt_files().back()) ||
      recipe::has_run_files(whole)) {
    recipe.prompts_folder = prompts;
    recipe.prompts_overlay.clear();
  }
  return recipe;
}

void require_model_or_run(const std::string& path) {
  std::error_code ignored;
  const bool is_there = fs::exists(path, ignored);
  const bool is_folder = fs::is_directory(path, ignored);
  if (recipe::is_run_folder(path) || generate::is_remote_model(path) ||
      (is_folder ? is_file(fs::path(path) / "config.json") : is_there)) {
    return;
  }
  if (is_folder) formats::model_form(path);  // says what else it is
  throw Error(
      ErrorKind::kInput,
      str(is_there ? path + ": this is" : "cannot open " + path + ": there is",
          " no run folder, HF folder or GGUF file",
          is_there ? "" : " of that name",
          "; correct the path, or make a run with: selfalign run RECIPE"));
}

std::vector<std::pair<std::string, std::string>> adapters_of_run(
    const std::string& folder) {
  const auto store = store::Reader::open(folder);
  const recipe::Recipe recipe = recipe_of_run(folder);
  std::vector<std::pair<std::string, std::string>> adapters;
  // The last one first.
  const std::vector<stages::Variant>& all = stages::variants();
  for (auto variant = all.rbegin(); variant != all.rend(); ++variant) {
    if (variant->folder.empty() ||
        !stages::stage_done(*store, variant->adapter_stage)) {
      continue;
    }
    const fs::path own = variant->result(recipe);
    require_own(folder, own);
    adapters.emplace_back(variant->name, fs::path(folder) / own);
  }
  return adapters;
}

std::string last_adapter(const std::string& folder) {
  const auto adapters = adapters_of_run(folder);
  if (!adapters.empty()) return adapters[0].second;
  const recipe::Recipe recipe = recipe_of_run(folder);
  const bool trains = recipe.has("engrave") || recipe.has("tune");
  throw Error(ErrorKind::kInput,
              str(folder, ": this run has no adapter",
                  trains ? " yet; go on with: selfalign resume " + folder
                         : ", for its recipe trains none; name the model "
                           "itself: " +
                               recipe.model.path));
}

std::string find_prompts(const std::string& given, const std::string& adapter) {
  if (!given.empty()) return given;
  if (!adapter.empty()) {
    fs::path folder = fs::absolute(adapter).lexically_normal();
    for (int levels = 0; levels < 4; ++levels) {
      if (recipe::is_run_folder(folder)) return folder / "prompts";
      folder = folder.parent_path();
    }
  }
  std::error_code problem;
  const fs::path program = fs::read_symlink("/proc/self/exe", problem);
  const fs::path above = program.parent_path().parent_path();
  for (const fs::path& folder : {fs::path("prompts"), above / "prompts",
                                 above / "share/selfalign/prompts"}) {
    if (is_file(folder / "meta.yaml")) return folder;
  }
  throw Error(ErrorKind::kUsage,
              "cannot find the prompts: this folder has no prompts/meta.yaml; "
              "name their folder with --prompts");
}

void add_sign_key(CLI::App& command, std::string& path) {
  command.add_option("--sign-key", path,
                     "Ed25519 private key in PEM: sign what is written, for "
                     "verify --key");
}

std::shared_ptr<const store::SigningKey> read_sign_key(
    const std::string& path) {
  if (path.empty()) return nullptr;
  return std::make_shared<const store::SigningKey>(path);
}

bool is_done(const store::Reader& store) { return stages::run_done(store); }

Json status_json(const store::Reader& store) {
  Json list = Json::array();
  for (const store::Manifest& manifest : store.manifests()) {
    list.push_back(stage_json(store, manifest.stage));
  }
  for (const std::string& stage : store.stages()) {
    if (!store.manifest(stage)) list.push_back(stage_json(store, stage));
  }
  return {{"run", store.folder()},
          {"done", is_done(store)},
          {"digest", store.run_digest()},
          {"stages", std::move(list)}};
}

}  // namespace selfalign::cli
