// A run's pairs of instruction and answer as a dataset file for other tools, as
// they are after review.
#pragma once

#include <cstdint>
#include <string>

#include "formats/datasets.h"
#include "store/store.h"

namespace selfalign::stages {

struct ExportReport {
  int64_t num_written = 0;
  int64_t num_cut_off = 0;  // left out: the forms cannot say "unfinished"
};
// `set` is "engrave" (stage 2's answers) or "verbose" (stage 4's); Error kUsage
// otherwise, kInput if the run has none yet. Writes `path` atomically.
ExportReport export_pairs(const store::Store& store, const std::string& set,
                          formats::DatasetForm form, const std::string& path);

}  // namespace selfalign::stages
