// SPDX-License-Identifier: Apache-2.0
// What stands beside exported data: the card (README.md in the form of a
// Hugging Face dataset card), the stanzas for trainers, the manifest.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/record.h"
#include "export/export_parts.h"

namespace selfalign::exports {

std::string data_card(const ExportContext& context);
// The entry of LLaMA-Factory's dataset_info.json, and axolotl's `datasets`.
Json llama_factory_entry(const ExportContext& context);
std::string axolotl_stanza(const ExportContext& context);

// {"format", "program", "run": {"name", "digest", "stages": [..]}, "dataset",
//  "inputs": [..]}. Inputs are the resolved recipe, the prompts and the files
//  of
// the base model, by name.
Json export_manifest(const ExportContext& context);

struct HashedFile {
  std::string name;
  bool missing = false;  // it is gone; else the others are there
  std::optional<int64_t> bytes = {};
  std::optional<std::string> sha256 = {};

  static void describe(auto& visit, auto& self) {
    visit("name", self.name);
    visit.may("missing", self.missing, self.missing);
    visit("bytes", self.bytes);
    visit("sha256", self.sha256);
  }
};
HashedFile hashed_file(const std::string& name, const std::string& path);
// The files of a model, an HF folder's or one, as "model/NAME".
void add_model_files(const std::string& path, std::vector<HashedFile>& inputs);
// The run's recipe and prompts.
std::vector<HashedFile> hashed_inputs(const std::string& run);

// A stage that is done.
struct StageDigest {
  std::string stage;
  int64_t num_rows = 0;
  int64_t num_kept = 0;
  std::string digest;

  static void describe(auto& visit, auto& self) {
    visit("stage", self.stage);
    visit("rows", self.num_rows);
    visit("kept", self.num_kept);
    visit("digest", self.digest);
  }
};
std::vector<StageDigest> stage_digests(const store::Reader& store);

}  // namespace selfalign::exports
