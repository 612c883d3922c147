// SPDX-License-Identifier: Apache-2.0
// The processors that this process may use, and how many threads to compute
// with.
#pragma once

#include <string>
#include <vector>

namespace selfalign {

// Cores, not hyper-threads, that this process may use: its affinity mask,
// cut down to the processor time its control group may take. At least 1.
int available_cores();

// Processors with memory of their own (a NUMA node), those of a core beside
// each other.
struct ProcessorNode {
  int number = 0;
  std::vector<int> processors;
};
// Nodes with processors that this process may use, by number; where the system
// tells of none, one of all. `folder` holds nodeN/cpulist.
std::vector<ProcessorNode> processor_nodes(
    const std::string& folder = "/sys/devices/system/node");
// `nodes` with `allowed` processors alone; `topology` as of count_cores().
std::vector<ProcessorNode> processor_nodes(const std::string& folder,
                                           const std::vector<int>& allowed,
                                           const std::string& topology);

// Number of distinct cores among the processors `ids`; `topology` names the
// folder with cpuN/topology/{physical_package_id,core_id}. A processor whose
// files are absent counts as a core of its own.
int count_cores(const std::vector<int>& ids, const std::string& topology);

// Processors that a control group's quota stands for, rounded up, or 0 where
// there is no limit. `text` is what cpu.max holds ("200000 100000", "max ...").
int quota_cores(const std::string& text);

}  // namespace selfalign
