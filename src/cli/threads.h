// SPDX-License-Identifier: Apache-2.0
// How many threads to compute with.
#pragma once

#include <string>
#include <vector>

namespace selfalign::cli {

// Cores, not hyper-threads, that this process may use: its affinity mask,
// cut down to the processor time its control group may take. At least 1.
int available_cores();

// Number of distinct cores among the processors `ids`; `topology` names the
// folder with cpuN/topology/{physical_package_id,core_id}. A processor whose
// files are absent counts as a core of its own.
int count_cores(const std::vector<int>& ids, const std::string& topology);

// Processors that a control group's quota stands for, rounded up, or 0 where
// there is no limit. `text` is what cpu.max holds ("200000 100000", "max ...").
int quota_cores(const std::string& text);

}  // namespace selfalign::cli
