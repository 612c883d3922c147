// SPDX-License-Identifier: Apache-2.0
// Keys of a recipe that nothing of it would look at.
#pragma once

#include "recipe/recipe.h"
#include "recipe/yaml.h"

namespace selfalign::recipe {

// Reports, at its place in `file`, each key that has another value than in
// `defaults` and belongs to what `recipe`, read from that file, does not do: a
// stage that is not among its stages, given data without a path. A key that
// says the default is no mistake: a recipe written out has them all.
void check_unused(const YAML::Node& file, const Recipe& recipe,
                  const Recipe& defaults, YamlMistakes& mistakes);

}  // namespace selfalign::recipe
