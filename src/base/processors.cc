// SPDX-License-Identifier: Apache-2.0
#include "base/processors.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>
#include <tuple>
#include <utility>

#include "base/error.h"
#include "base/folder.h"
#include "base/number.h"

namespace selfalign {
namespace {

constexpr int kMaxProcessors = 4096;

std::vector<int> allowed_processors() {
  std::vector<int> ids;
  cpu_set_t* set = CPU_ALLOC(kMaxProcessors);
  const size_t size = CPU_ALLOC_SIZE(kMaxProcessors);
  if (set != nullptr && sched_getaffinity(0, size, set) == 0) {
    for (int id = 0; id < kMaxProcessors; ++id) {
      if (CPU_ISSET_S(id, size, set)) ids.push_back(id);
    }
  }
  if (set != nullptr) CPU_FREE(set);
  return ids;
}

std::string first_line(const std::string& path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  return line;
}

// The tightest quota on the way from this process's group to the root; the
// groups are seen through /sys/fs/cgroup (version 2, else version 1's cpu).
int group_quota() {
  const std::string root = "/sys/fs/cgroup";
  std::ifstream in("/proc/self/cgroup");
  int tightest = 0;
  const auto take = [&](int cores) {
    if (cores > 0 && (tightest == 0 || cores < tightest)) tightest = cores;
  };
  for (std::string line; std::getline(in, line);) {
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const bool version1 =
        line.substr(first, second - first).find("cpu") != std::string::npos;
    std::string group = line.substr(second + 1);
    if (group == "/") group.clear();
    while (true) {
      take(quota_cores(first_line(str(root, group, "/cpu.max"))));
      if (version1) {
        const std::string folder = str(root, "/cpu", group);
        take(quota_cores(str(first_line(folder + "/cpu.cfs_quota_us"), " ",
                             first_line(folder + "/cpu.cfs_period_us"))));
      }
      if (group.empty()) break;
      group.resize(group.rfind('/'));
    }
  }
  return tightest;
}

// What tells a core: package and number in it; of a processor whose files are
// absent, itself.
using Core = std::tuple<std::string, int, int>;
Core core_of(int id, const std::string& topology) {
  const std::string folder = str(topology, "/cpu", id, "/topology/");
  const auto core = parse_number<int>(first_line(folder + "core_id"));
  if (!core) return {"", 0, id};
  return {"package " + first_line(folder + "physical_package_id"), *core, 0};
}

// "0-3,8": those of them that are allowed.
std::vector<int> parse_list(const std::string& text,
                            const std::vector<int>& allowed) {
  std::vector<int> ids;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) {
    const size_t dash = std::min(part.find('-'), part.size());
    const auto first = parse_number<int>(part.substr(0, dash));
    const auto last =
        dash == part.size() ? first : parse_number<int>(part.substr(dash + 1));
    if (!first || !last) continue;
    for (const int id : allowed) {
      if (*first <= id && id <= *last) ids.push_back(id);
    }
  }
  return ids;
}

constexpr const char* kTopology = "/sys/devices/system/cpu";

}  // namespace

int count_cores(const std::vector<int>& ids, const std::string& topology) {
  std::set<Core> cores;
  for (const int id : ids) cores.insert(core_of(id, topology));
  return static_cast<int>(cores.size());
}

std::vector<ProcessorNode> processor_nodes(const std::string& folder,
                                           const std::vector<int>& allowed,
                                           const std::string& topology) {
  std::vector<ProcessorNode> nodes;
  std::vector<std::string> found;
  try {
    found = list_folder(folder);
  } catch (const Error&) {  // a system that tells of none
  }
  for (const std::string& path : found) {
    const std::string name = path.substr(path.rfind('/') + 1);
    if (!name.starts_with("node")) continue;
    const auto number = parse_number<int>(name.substr(4));
    if (!number) continue;
    auto ids = parse_list(first_line(path + "/cpulist"), allowed);
    if (!ids.empty()) nodes.push_back({*number, std::move(ids)});
  }
  if (nodes.empty()) nodes.push_back({0, allowed});
  std::sort(nodes.begin(), nodes.end(),
            [](const auto& a, const auto& b) { return a.number < b.number; });
  for (ProcessorNode& node : nodes) {
    std::stable_sort(node.processors.begin(), node.processors.end(),
                     [&](int a, int b) {
                       return core_of(a, topology) < core_of(b, topology);
                     });
  }
  return nodes;
}

std::vector<ProcessorNode> processor_nodes(const std::string& folder) {
  return processor_nodes(folder, allowed_processors(), kTopology);
}

int quota_cores(const std::string& text) {
  constexpr double kMost = 1e18;  // microseconds
  const size_t space = std::min(text.find(' '), text.size());
  const auto quota = parse_number<double>(text.substr(0, space), 1, kMost);
  const auto period = parse_number<double>(
      text.substr(std::min(space + 1, text.size())), 1, kMost);
  if (!quota || !period) return 0;
  return static_cast<int>(std::ceil(std::min(*quota / *period, 1e6)));
}

int available_cores() {
  const std::vector<int> ids = allowed_processors();
  int cores = ids.empty()
                  ? static_cast<int>(std::thread::hardware_concurrency())
                  : count_cores(ids, kTopology);
  const int quota = group_quota();
  if (quota > 0) cores = std::min(cores, quota);
  return std::max(cores, 1);
}

}  // namespace selfalign
