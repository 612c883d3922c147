// SPDX-License-Identifier: Apache-2.0
// What an export is asked for, what it writes and what it tells.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "recipe/recipe.h"
#include "store/reader.h"

namespace selfalign::exports {

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

// What its files are made from.
struct ExportContext {
  const store::Reader& store;
  const recipe::Recipe& recipe;
  const ExportOptions& options;
  const ExportReport& report;
  std::string data_file;  // "train.jsonl"
};

}  // namespace selfalign::exports
