// SPDX-License-Identifier: Apache-2.0
#include "cli/threads.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <set>
#include <thread>
#include <utility>

#include "base/error.h"
#include "base/number.h"

namespace selfalign::cli {
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
      take(quota_cores(first_line(root + group + "/cpu.max")));
      if (version1) {
        const std::string folder = root + "/cpu" + group;
        take(quota_cores(first_line(folder + "/cpu.cfs_quota_us") + " " +
                         first_line(folder + "/cpu.cfs_period_us")));
      }
      if (group.empty()) break;
      group.resize(group.rfind('/'));
    }
  }
  return tightest;
}

}  // namespace

int count_cores(const std::vector<int>& ids, const std::string& topology) {
  std::set<std::pair<std::string, std::string>> cores;
  for (const int id : ids) {
    const std::string folder = str(topology, "/cpu", id, "/topology/");
    const std::string core = first_line(folder + "core_id");
    if (core.empty()) {
      cores.emplace("processor", std::to_string(id));
    } else {
      cores.emplace(first_line(folder + "physical_package_id"), core);
    }
  }
  return static_cast<int>(cores.size());
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
                  : count_cores(ids, "/sys/devices/system/cpu");
  const int quota = group_quota();
  if (quota > 0) cores = std::min(cores, quota);
  return std::max(cores, 1);
}

}  // namespace selfalign::cli
