// A run's pairs of instruction and answer as a dataset folder for other tools:
// the data, a card that says how they were made, what to paste into the
// configuration of a trainer, and hashes of everything that went in and came
// out. The folder appears whole or not at all.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "stages/recipe.h"
#include "store/store.h"

namespace selfalign::stages {

struct ExportOptions {
  std::string set;                // "engrave", "verbose"; "": the last there is
  std::string form = "messages";  // alpaca, sharegpt, messages, parquet
  std::string folder;             // must not be there yet
  std::string program;            // name and version, for the manifest
};

// One pair as it is exported.
struct ExportRow {
  uint64_t key = 0;
  std::string stage;  // that made it: "align.pairs"
  std::string type;   // of the question, see principles.h
  std::string instruction;
  std::string response;
  std::vector<int64_t> rules;  // that stage 2's thought on it named
  bool ends = true;            // false: cut off by length
};

struct ExportReport {
  std::string set;
  int64_t num_written = 0;
  int64_t num_cut_off = 0;  // left out, but for Parquet, which marks them
  std::vector<std::string> files;  // names in the folder
};

// Writes train.jsonl or train.parquet, README.md, dataset_info.json (of
// LLaMA-Factory), axolotl.yaml and manifest.json; with an adapter its prompt,
// selfalign.json and chat_template.jinja. Error kUsage for an unknown set or
// form and a folder that is there, kInput if the run has no such rows.
ExportReport export_dataset(const store::Store& store, const Recipe& recipe,
                            const ExportOptions& options);

}  // namespace selfalign::stages
