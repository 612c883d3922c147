// SPDX-License-Identifier: Apache-2.0
// What an export of a model is asked for and what it tells.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "export/model_tensors.h"
#include "recipe/recipe.h"
#include "store/reader.h"

namespace selfalign::exports {

inline constexpr char kMerged[] = "merged";
inline constexpr char kGguf[] = "gguf";
inline constexpr char kAdapter[] = "adapter";

// The words of --type: "f32", "f16", "bf16", "q8_0", "q4_0"; "" is none. Error
// kUsage for others.
NumberType number_type(const std::string& word);

struct ModelOptions {
  std::string model = kMerged;  // kMerged, kGguf or kAdapter
  NumberType type;              // kMerged takes no blocks
  std::string base;             // HF folder or GGUF file
  std::string adapter;          // PEFT folder; "": the base alone
  std::string base_name;        // in adapter_config.json; "": the folder's path
  std::string folder;           // must not be there yet
  std::string program;          // name and version
  std::string evaluations;  // Markdown for the card; "" where there are none
  // The run that the adapter is of; null: none.
  const store::Reader* run = nullptr;
  const recipe::Recipe* recipe = nullptr;
};

struct ModelReport {
  std::vector<std::string> files;  // names in the folder
  int64_t num_tensors = 0;
  int64_t num_merged = 0;  // that the adapter changed
};

}  // namespace selfalign::exports
