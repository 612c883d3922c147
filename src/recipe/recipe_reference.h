// SPDX-License-Identifier: Apache-2.0
// What a recipe may hold, for people and for editors; both are made from the
// settings' own descriptions (base/settings.h).
#pragma once

#include <string>

#include "base/json.h"

namespace selfalign::recipe {

// Every key with its default, range and meaning, as Markdown: docs/recipe.md.
std::string recipe_reference();

// A JSON Schema (draft 2020-12): recipes/recipe.schema.json.
Json recipe_schema();

}  // namespace selfalign::recipe
