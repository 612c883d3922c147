// SPDX-License-Identifier: Apache-2.0
// A ModelConfig in the words of files to be written: config.json, or the
// metadata of a GGUF file. Whatever the words cannot say is an Error, never
// left out: what was written is read again and compared.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "formats/gguf_names.h"
#include "formats/gguf_writer.h"
#include "formats/model_config.h"

namespace selfalign::formats {

// config.json of a model of llama, qwen2, qwen3, olmo2, smollm3, granite,
// gpt_neox, starcoder2, stablelm or phi3; tokens and number types are the
// caller's to add. Error kInput for what it cannot say; `where`: the model.
Json config_to_json(const ModelConfig& config, const std::string& where);

// What a reader of GGUF files makes of the model: as `config`, but in what GGUF
// has other words for (tables of rope factors, the one that conversions add to
// norms). Where the format has no windows, positions end where one would begin
// to count. Error kInput for a rope that it has no words for.
ModelConfig gguf_config(ModelConfig config, const GgufForm& form,
                        const std::string& where);

// Of what gguf_config gave; and the tables that go with it as tensors.
void put_gguf_config(const ModelConfig& config, const GgufForm& form,
                     GgufEntries& out);
std::vector<std::pair<std::string, std::vector<float>>> gguf_tables(
    const ModelConfig& config);

// Error kInput names the first member in which `read`, of what was written, is
// other than `meant`, beyond the last place of a float32. Notes and, between
// families of one form, the family's name do not count.
void require_same_config(const ModelConfig& read, const ModelConfig& meant,
                         const std::string& where);

}  // namespace selfalign::formats
