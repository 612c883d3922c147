// SPDX-License-Identifier: Apache-2.0
// Counters and times of the server in Prometheus' text format (exposition
// format 0.0.4). All functions from any thread.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace selfalign::serve {

// What a model's worker has before it now.
struct ModelLoad {
  std::string model;
  int num_queued = 0;
  int num_working = 0;
};

class Metrics {
 public:
  // Paths that are not among `paths` count as "other": a client cannot make
  // new names.
  explicit Metrics(std::vector<std::string> paths);

  void request_done(const std::string& path, int status, double seconds);
  void request_cancelled();  // the client went before its answer
  void tokens(const std::string& model, int64_t num_prompt,
              int64_t num_completion);
  void connections(int now);

  std::string text(const std::vector<ModelLoad>& models) const;

 private:
  // Seconds; the last bucket is everything.
  static constexpr std::array<double, 12> kBounds = {
      0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30, 120};
  struct Histogram {
    std::array<int64_t, kBounds.size() + 1> counts = {};
    double sum = 0;
  };

  std::vector<std::string> paths_;
  mutable std::mutex mutex_;
  std::map<std::pair<std::string, int>, int64_t> requests_;
  std::map<std::string, Histogram> seconds_;
  std::map<std::string, std::pair<int64_t, int64_t>> tokens_;
  int64_t num_cancelled_ = 0;
  int num_connections_ = 0;
};

}  // namespace selfalign::serve
