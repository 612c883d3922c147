// SPDX-License-Identifier: Apache-2.0
// The tiny models of tests/data/families as files.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/folder.h"
#include "base/json.h"
#include "formats/safetensors.h"

namespace selfalign {

inline constexpr char kFamilies[] = "tests/data/families";

// Names of all.
inline std::vector<std::string> family_cases() {
  std::vector<std::string> names;
  for (const std::string& path : list_folder(kFamilies)) {
    names.push_back(std::filesystem::path(path).stem());
  }
  return names;
}

inline Json read_family(const std::string& name) {
  const std::string path = str(kFamilies, "/", name, ".json");
  return parse_json(read_file(path), path);
}

// As values() of the tool.
inline std::vector<float> values(const Json& tensor) {
  const auto name = tensor[0].get<std::string>();
  const auto base = tensor[2].get<float>(), scale = tensor[3].get<float>();
  uint64_t seed = 14695981039346656037U;
  for (const char c : name) {
    seed = (seed ^ static_cast<unsigned char>(c)) * 1099511628211U;
  }
  size_t count = 1;
  for (const Json& size : tensor[1]) count *= size.get<size_t>();
  std::vector<float> made(count);
  for (size_t i = 0; i < count; ++i) {
    uint64_t x = seed + (i + 1) * 0x9E3779B97F4A7C15U;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9U;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBU;
    x ^= x >> 31;
    const float u = static_cast<float>(x >> 40) / 8388608.0f - 1.0f;
    made[i] = base + scale * u;
  }
  return made;
}

// A list of what values() takes.
inline void write_tensors(const Json& tensors, const std::string& path) {
  std::vector<std::vector<float>> kept;
  std::vector<formats::TensorView> views;
  kept.reserve(tensors.size());
  views.reserve(tensors.size());
  for (const Json& tensor : tensors) {
    kept.push_back(values(tensor));
    views.push_back({tensor[0].get<std::string>(),
                     formats::ElementType::kF32,
                     tensor[1].get<std::vector<int64_t>>(),
                     {reinterpret_cast<const char*>(kept.back().data()),
                      kept.back().size() * sizeof(float)}});
  }
  formats::write_safetensors(path, views, {{"format", "pt"}});
}

// The adapter as PEFT saves it.
inline void write_adapter(const Json& lora, const std::string& folder) {
  const Json config = {{"peft_type", "LORA"},
                       {"r", 2},
                       {"lora_alpha", 3},
                       {"target_modules", lora["targets"]}};
  write_file_atomic(folder + "/adapter_config.json", dump_json(config));
  write_tensors(lora["tensors"], folder + "/adapter_model.safetensors");
}

// The HF folder, without a tokenizer.
inline void write_family(const Json& golden, const std::string& folder) {
  write_file_atomic(folder + "/config.json", dump_json(golden["config"]));
  write_tensors(golden["tensors"], folder + "/model.safetensors");
}

}  // namespace selfalign
