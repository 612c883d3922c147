// SPDX-License-Identifier: Apache-2.0
// Merge keys of YAML ("<<: *base"), which the parser leaves in place.
#pragma once

#include <yaml-cpp/yaml.h>

#include "recipe/yaml_mistakes.h"

namespace selfalign::recipe {

// Puts the keys of what every "<<" names, a mapping or a list of mappings, into
// its mapping, in place: keys that are there stay, of a list the first mapping
// counts (YAML's language-independent type "merge"). A "<<" with another value,
// a second one in a mapping and nesting over 100 deep are mistakes.
void resolve_merges(YAML::Node node, YamlMistakes& mistakes);

}  // namespace selfalign::recipe
