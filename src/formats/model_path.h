// SPDX-License-Identifier: Apache-2.0
// What the path of a model names. A file is known by its content: one made
// elsewhere may be called anything ("model", "M.GGUF", "sha256-0123...").
#pragma once

#include <memory>
#include <string>

#include "formats/model_config.h"
#include "formats/tensor_source.h"

namespace selfalign::formats {

// Whether the path is a file that begins as a GGUF file does.
bool is_gguf(const std::string& path);

enum class ModelForm { kFolder, kGguf };
// Error kInput where there is neither a folder nor a GGUF file. A file whose
// name ends in .gguf counts as one, so that what is wrong in it is said.
ModelForm model_form(const std::string& path);

// The config.json of an HF folder, of 1 MiB at most.
ModelConfig config_of_folder(const std::string& folder);

struct ModelFiles {
  ModelConfig config;
  std::unique_ptr<TensorSource> tensors;  // under LLaMA's names
  std::shared_ptr<const GgufFile> gguf;   // null: an HF folder
};
ModelFiles open_model_files(const std::string& path);

}  // namespace selfalign::formats
