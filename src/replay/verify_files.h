// SPDX-License-Identifier: Apache-2.0
// The files of a run's folder against what the store says of them.
#pragma once

#include <vector>

#include "store/reader.h"

namespace selfalign::replay {

struct FileCheck {
  int num_compared = 0;
  std::vector<store::Problem> problems;  // without advice: the usual one
};

// Files that were changed, are missing or are no plain files of the folder, and
// files that nobody knows in the folders whose files are all known: prompts,
// tunings that are done and, in a run that is done, folders of other tunings.
FileCheck check_files(const store::Reader& store);

}  // namespace selfalign::replay
