// SPDX-License-Identifier: Apache-2.0
#include "recipe/recipe_unused.h"

#include "base/error.h"
#include "recipe/fields.h"
#include "recipe/recipe_text.h"

namespace selfalign::recipe {
namespace {

// What has to be in a recipe for `field` to have an effect; "" if it has one.
std::string lacking(const std::string& field, const Recipe& recipe) {
  const auto stage = [&recipe](const char* name) {
    return recipe.has(name) ? "" : str("stage ", name);
  };
  const bool given = !recipe.instructions.path.empty();
  // Given instructions are compared with each other, too.
  if (field == "instruct.max_rouge_l" && given && recipe.profile == "default") {
    return "";
  }
  // An own decoding of a comparison is also that of the base: align.sampling.
  if (field.starts_with("align.") && !field.starts_with("align.sampling")) {
    return stage("align");
  }
  if (field == "instructions.max_rows") {
    return given ? "" : "instructions.path";
  }
  if (field == "data.max_rows") {
    return recipe.data.path.empty() ? "data.path" : "";
  }
  if (field == "refill.max_requests" && recipe.refill.min_per_rule == 0) {
    return "refill.min_per_rule";
  }
  const std::string section = field.substr(0, field.find('.'));
  const auto is_of_full = [&](const char* name, const TuneOptions& tune) {
    return section == name && tune.is_full();
  };
  if ((is_of_full("engrave", recipe.engrave) ||
       is_of_full("final", recipe.final) || is_of_full("tune", recipe.tune)) &&
      TuneOptions::is_of_lora(field.substr(section.size() + 1))) {
    return "method lora";
  }
  if (section == "contamination") {
    return given ? "" : stage("instruct");
  }
  if (section == "refill") {
    return recipe.has("align") ? stage("instruct") : stage("align");
  }
  if (section == "final") return stage("verbose");
  if (section == "identity_repeats" || section == "identity_share") {
    return stage("engrave");
  }
  for (const char* name : {"instruct", "engrave", "verbose", "tune"}) {
    if (section == name) return stage(name);
  }
  return "";
}

}  // namespace

void check_unused(const YAML::Node& file, const Recipe& recipe,
                  const Recipe& defaults, YamlMistakes& mistakes) {
  const auto fields = [](const Recipe& of) {
    return fields_of(YAML::Load(recipe_to_yaml(of)));
  };
  for (const FieldChange& change :
       changed_fields(fields(defaults), fields(recipe))) {
    const std::string without = lacking(change.field, recipe);
    if (without.empty()) continue;
    // What follows from another key is not in the file.
    if (const auto mark = place_of(file, change.field)) {
      mistakes.add(*mark,
                   str(change.field, ": without ", without,
                       " this has no effect; leave it out, or add ", without));
    }
  }
}

}  // namespace selfalign::recipe
