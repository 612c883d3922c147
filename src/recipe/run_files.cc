// SPDX-License-Identifier: Apache-2.0
#include "recipe/run_files.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/own_file.h"
#include "base/shown.h"
#include "recipe/fields.h"
#include "recipe/recipe_file.h"
#include "recipe/recipe_text.h"
#include "recipe/yaml.h"

namespace selfalign::recipe {
namespace {

// In the store's meta: the recipe's text, and the prompt files' digests.
constexpr char kRecipe[] = "recipe";
constexpr char kPrompts[] = "prompts.files";

constexpr size_t kMaxListed = 12;  // differences of one file
constexpr size_t kMaxShown = 60;   // bytes of a field or a value

// What `read` makes of meta `name`, a text that only keep_run_files writes:
// what it cannot read is damage.
template <typename Read>
auto read_meta(const store::Reader& store, const std::string& name,
               const Read& read) {
  const std::string where = store.folder() + "/run.db: meta " + name;
  try {
    return read(where);
  } catch (const Error& error) {
    throw Error(ErrorKind::kDamaged,
                str(error.what(),
                    "; restore run.db from a copy, or see what else is "
                    "changed with: selfalign verify ",
                    store.folder()));
  }
}

Fields kept_fields(const store::Reader& store, const std::string& recipe) {
  return read_meta(store, kRecipe, [&](const std::string& where) {
    const YAML::Node node = parse_yaml(recipe, where);
    if (node.IsMap()) return fields_of(node);
    throw Error(ErrorKind::kDamaged,
                where + ": expected keys and values, found something else");
  });
}

// Places may move, prices change, and somebody else may train or be asked; the
// models are checked by their fingerprints, given data by their digests and the
// prompts by what they say. How many engines there are changes no byte.
bool is_place(const std::string& field) {
  return field == "run_folder" || field.starts_with("models.") ||
         field == "model.path" || field == "model.servers" ||
         field == "serve.reload" || field == "model.api" ||
         field.starts_with("model.price_") || field == "model.api_key_file" ||
         field == "model.num_engines" || field == "prompts_folder" ||
         field == "prompts_overlay" || field == "instructions.path" ||
         field == "data.path" || field == "contamination.sets" ||
         field == "train.with" || field == "train.command";
}

std::string text_of(const std::optional<std::string>& value) {
  return shown(value.value_or("nothing"), kMaxShown);
}

// A line for each field that differs: "  FILE: seed (was 7, is 8)".
std::string differences(const std::string& file, const Fields& was,
                        const Fields& is) {
  std::string lines;
  size_t count = 0;
  for (const FieldChange& change : changed_fields(was, is)) {
    if (is_place(change.field) || ++count > kMaxListed) continue;
    lines += str("\n  ", file, ": ", shown(change.field, kMaxShown), " (was ",
                 text_of(change.was), ", is ", text_of(change.is), ")");
  }
  if (count > kMaxListed) {
    lines += str("\n  ", file, ": ", count - kMaxListed, " more");
  }
  return lines;
}

Fields all_fields(const Recipe& recipe) {
  return fields_of(YAML::Load(recipe_to_yaml(recipe, true)));
}

std::string recipe_differences(const Recipe& recipe,
                               const std::string& folder) {
  // Through run_recipe: what an older version did not know has its default.
  return differences("recipe", all_fields(run_recipe(folder)),
                     all_fields(recipe));
}

std::string prompt_differences(const Recipe& recipe, const std::string& copy) {
  std::string lines;
  for (const std::string& file : prompt_files()) {
    const std::string was = str(copy, "/", file);
    const std::string is =
        prompt_path(recipe.prompts_folder, recipe.prompts_overlay, file);
    if (read_file(was) == read_file(is)) continue;
    lines +=
        differences(file, fields_of(load_yaml(was)), fields_of(load_yaml(is)));
  }
  return lines;
}

void check_same(const Recipe& recipe, const store::Reader& store) {
  const std::string& folder = store.folder();
  std::string found = edited_recipe(store);
  if (found.empty()) {
    found = recipe_differences(recipe, folder);
  }
  const std::string copy = folder + "/prompts";
  // A run goes on with its copy where the original is no more.
  std::error_code none;
  const Overlays& overlays = recipe.prompts_overlay;
  if (std::filesystem::exists(recipe.prompts_folder, none) &&
      std::all_of(overlays.begin(), overlays.end(),
                  [&none](const std::string& overlay) {
                    return std::filesystem::exists(overlay, none);
                  }) &&
      !std::filesystem::equivalent(recipe.prompts_folder, copy, none)) {
    load_prompts(recipe.prompts_folder, overlays);  // its mistakes come first
    found +=
        read_run_file(folder, [&] { return prompt_differences(recipe, copy); });
  }
  if (found.empty()) return;
  throw Error(
      ErrorKind::kUsage,
      str(folder,
          ": expected the recipe and prompts this run was begun with, found "
          "others:",
          found, "\ngo on with the old ones by: selfalign resume ", folder,
          "\nor make a run of the new ones that keeps what they do not "
          "affect: selfalign resume ",
          folder, " --fork NEW --recipe RECIPE"));
}

void require_own_prompts(const std::string& folder) {
  for (const std::string& file : prompt_files()) {
    require_own_path(folder, "prompts/" + file);
  }
}

// What a recipe asks of its prompts, before hours of work.
void check_fit(const Recipe& recipe, const Prompts& prompts) {
  const InstructOptions& instruct = recipe.instruct;
  if (recipe.has("instruct") && instruct.num_red_team > 0 &&
      instruct.hints_per_request > 1 && prompts.red_team.list_prompt.empty()) {
    throw Error(ErrorKind::kUsage,
                str(prompt_path(recipe.prompts_folder, recipe.prompts_overlay,
                                "red_team.yaml"),
                    ": there is no list_prompt, which the recipe's "
                    "instruct.hints_per_request: ",
                    instruct.hints_per_request,
                    " needs; write one, or set 1 in the recipe"));
  }
}

}  // namespace

// Joined as a path: "" is the folder one is in.
bool is_run_folder(const std::string& folder) {
  namespace fs = std::filesystem;
  const auto holds = [&folder](const char* name) {
    std::error_code ignored;
    return fs::exists(fs::symlink_status(fs::path(folder) / name, ignored));
  };
  return holds(kRecipeFile + 1) || holds("run.db");
}

bool has_run_files(const std::string& folder) {
  const std::string own = folder.empty() ? "." : folder;
  if (!store::Reader::is_made(own)) return false;
  const auto store = store::Reader::open(own);
  return store->meta(kRecipe).has_value() || !store->stages().empty();
}

void throw_of_run(const std::string& folder, const Error& error) {
  if (error.kind() != ErrorKind::kInput) throw error;
  if (has_run_files(folder)) {
    throw Error(ErrorKind::kDamaged,
                str(error.what(),
                    " (it is a file of the run: restore it from a copy)"));
  }
  throw Error(ErrorKind::kInput,
              str(error.what(),
                  " (the run was ended before it had its files: "
                  "begin it again with: selfalign run RECIPE)"));
}

Recipe run_recipe(const std::string& folder) {
  require_own_path(folder, kRecipeFile + 1);
  return read_run_file(folder, [&] {
    return read_recipe(std::filesystem::path(folder) / (kRecipeFile + 1));
  });
}

Prompts run_prompts(const std::string& folder) {
  require_own_prompts(folder);
  return read_run_file(folder,
                       [&] { return load_prompts(folder + "/prompts"); });
}

Prompts run_prompts(const Recipe& recipe) {
  const std::filesystem::path own = recipe.run_folder + "/prompts";
  if (recipe.prompts_folder == own) require_own_prompts(recipe.run_folder);
  return read_run_file(recipe.run_folder, [&] {
    return load_prompts(recipe.prompts_folder, recipe.prompts_overlay);
  });
}

void keep_run_files(const Recipe& recipe, store::Store& store) {
  if (!store.stages().empty()) {
    check_same(recipe, store);
    return;
  }
  const std::string path = store.folder() + kRecipeFile;
  const std::string copy = store.folder() + "/prompts";
  const Overlays& overlays = recipe.prompts_overlay;
  const Prompts prompts = fitting_prompts(recipe);
  const std::string text = recipe_to_yaml(recipe);
  write_file_atomic(path, text);
  make_folder_in(store.folder(), "prompts");
  Json digests = Json::object();
  std::vector<std::string> kept;
  for (const std::string& file : prompt_files()) {
    const std::string content =
        read_file(prompt_path(recipe.prompts_folder, overlays, file));
    write_file_atomic(str(copy, "/", file), content);
    digests[file] = digest_bytes(content);
    kept.push_back("prompts/" + file);
  }
  store.transaction([&] {
    store.keep_files(kept);
    store.set_meta("prompts.digest", prompts.digest);
    store.set_meta(kPrompts, dump_json(digests));
    store.set_meta(kRecipe, text);
  });
}

void keep_places(Recipe recipe, const std::string& folder) {
  std::error_code none;
  if (!std::filesystem::exists(folder + kRecipeFile, none)) return;
  const Recipe kept = run_recipe(folder);
  recipe.run_folder = kept.run_folder;
  recipe.prompts_folder = kept.prompts_folder;
  recipe.prompts_overlay = kept.prompts_overlay;
  std::string lines;
  for (const FieldChange& change :
       changed_fields(all_fields(kept), all_fields(recipe))) {
    lines += str("\n  ", change.field, " (was ", text_of(change.was), ", is ",
                 text_of(change.is), ")");
  }
  if (lines.empty()) return;
  log_info(str(folder, kRecipeFile, " goes by the recipe from now on:", lines));
  write_file_atomic(folder + kRecipeFile, recipe_to_yaml(recipe));
}

Prompts fitting_prompts(const Recipe& recipe) {
  Prompts prompts = load_prompts(recipe.prompts_folder, recipe.prompts_overlay);
  check_fit(recipe, prompts);
  return prompts;
}

Prompts kept_prompts(const store::Reader& store) {
  Prompts prompts = run_prompts(store.folder());
  if (store.meta("prompts.digest") != prompts.digest) {
    throw Error(ErrorKind::kDamaged,
                str(store.folder(),
                    "/prompts: expected the prompts this run was begun with, "
                    "found others:",
                    edited_prompts(store), "\nrestore them from a copy"));
  }
  return prompts;
}

std::string edited_recipe(const store::Reader& store) {
  const auto recipe = store.meta(kRecipe);
  if (!recipe) return "";
  return differences(kRecipeFile + 1, kept_fields(store, *recipe),
                     fields_of(read_run_file(store.folder(), [&] {
                       return load_yaml(store.folder() + kRecipeFile);
                     })));
}

std::string edited_prompts(const store::Reader& store) {
  const auto digests = store.meta(kPrompts);
  if (!digests) return "";
  const Json known = read_meta(store, kPrompts, [&](const std::string& where) {
    return parse_json(*digests, where);
  });
  std::string lines;
  for (const std::string& file : prompt_files()) {
    const std::string path = store.folder() + "/prompts/" + file;
    const std::string was =
        read_meta(store, kPrompts, [&](const std::string& where) {
          return json_string_or(known, file, where, "");
        });
    if (!was.empty() && read_run_file(store.folder(), [&] {
                          return digest_file(path);
                        }) != was) {
      lines += "\n  prompts/" + file;
    }
  }
  return lines;
}

std::string fingerprint_difference(const std::string& was,
                                   const std::string& is) {
  const auto parts_of = [](const std::string& text) {
    std::vector<std::string> parts;
    for (size_t begin = 0; begin <= text.size();) {
      const size_t end = std::min(text.find(", ", begin), text.size());
      parts.push_back(text.substr(begin, end - begin));
      begin = end + 2;
    }
    return parts;
  };
  const std::vector<std::string> old_parts = parts_of(was);
  const std::vector<std::string> new_parts = parts_of(is);
  if (old_parts.size() != new_parts.size()) {
    return str("was ", was, ", is ", is);
  }
  std::string text;
  for (size_t i = 0; i < old_parts.size(); ++i) {
    if (old_parts[i] == new_parts[i]) continue;
    text += str(text.empty() ? "" : "; ", "was ", old_parts[i], ", is ",
                new_parts[i]);
  }
  return text;
}

}  // namespace selfalign::recipe
