// SPDX-License-Identifier: Apache-2.0
// What this machine and a model's files are good for, before anything is
// loaded: each fact or trap in a sentence that says what to do.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "formats/model_config.h"
#include "model/aten.h"

namespace selfalign::local {

enum class Level { kGood, kWarning, kProblem };
const char* level_name(Level level);  // "ok", "warning", "problem"

struct Finding {
  Level level;
  std::string text;
};

// Processor, memory, disk at `folder`, torch.
std::vector<Finding> examine_machine(const std::string& folder);

// A model at `path`: an HF folder or a GGUF file. `config` where it could be
// read. Throws only where a program is to end.
struct ModelExam {
  std::optional<formats::ModelConfig> config;
  std::vector<Finding> findings;
};
ModelExam examine_model(const std::string& path);

// What a model takes on a device other than a CPU, which has so much memory
// free (nothing: it does not say), told before anything is loaded.
Finding examine_device(const formats::ModelConfig& config, at::ScalarType dtype,
                       std::optional<uint64_t> available);

// What a chat template is like ("ChatML", "LLaMA 3", ...; "of its own"); ""
// where the model has none.
std::string chat_template_kind(const std::string& path);

}  // namespace selfalign::local
