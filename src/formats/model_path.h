// SPDX-License-Identifier: Apache-2.0
// What the path of a model names. A file is known by its content: one made
// elsewhere may be called anything ("model", "M.GGUF", "sha256-0123...").
#pragma once

#include <string>

namespace selfalign::formats {

// Whether the path is a file that begins as a GGUF file does.
bool is_gguf(const std::string& path);

enum class ModelForm { kFolder, kGguf };
// Error kInput where there is neither a folder nor a GGUF file. A file whose
// name ends in .gguf counts as one, so that what is wrong in it is said.
ModelForm model_form(const std::string& path);

}  // namespace selfalign::formats
