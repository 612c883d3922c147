// SPDX-License-Identifier: Apache-2.0
#include "serve/metrics.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace selfalign::serve {
namespace {

// A label's value: backslash, quote and line feed are escaped.
std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '\\' || c == '"') out += '\\';
    out += c == '\n' ? std::string("\\n") : std::string(1, c);
  }
  return out + "\"";
}

void head(std::string& out, const std::string& name, const std::string& type,
          const std::string& help) {
  out += "# HELP " + name + " " + help + "\n# TYPE " + name + " " + type + "\n";
}

}  // namespace

Metrics::Metrics(std::vector<std::string> paths) : paths_(std::move(paths)) {}

void Metrics::request_done(const std::string& path, int status,
                           double seconds) {
  const bool known =
      std::find(paths_.begin(), paths_.end(), path) != paths_.end();
  const std::string name = known ? path : "other";
  const auto bucket = static_cast<size_t>(
      std::lower_bound(kBounds.begin(), kBounds.end(), seconds) -
      kBounds.begin());
  const std::lock_guard<std::mutex> lock(mutex_);
  ++requests_[{name, status}];
  Histogram& histogram = seconds_[name];
  ++histogram.counts[bucket];
  histogram.sum += seconds;
}

void Metrics::request_cancelled() {
  const std::lock_guard<std::mutex> lock(mutex_);
  ++num_cancelled_;
}

void Metrics::tokens(const std::string& model, int64_t num_prompt,
                     int64_t num_completion) {
  const std::lock_guard<std::mutex> lock(mutex_);
  auto& [prompt, completion] = tokens_[model];
  prompt += num_prompt;
  completion += num_completion;
}

void Metrics::connections(int now) {
  const std::lock_guard<std::mutex> lock(mutex_);
  num_connections_ = now;
}

std::string Metrics::text(const std::vector<ModelLoad>& models) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::string out;
  head(out, "selfalign_requests_total", "counter", "Answered requests.");
  for (const auto& [key, count] : requests_) {
    out += str("selfalign_requests_total{path=", quoted(key.first),
               ",status=\"", key.second, "\"} ", count, "\n");
  }
  head(out, "selfalign_requests_cancelled_total", "counter",
       "Requests whose client went before its answer.");
  out += str("selfalign_requests_cancelled_total ", num_cancelled_, "\n");
  head(out, "selfalign_tokens_total", "counter", "Tokens read and written.");
  for (const auto& [model, count] : tokens_) {
    const std::string label = "{model=" + quoted(model) + ",kind=";
    out += str("selfalign_tokens_total", label, "\"prompt\"} ", count.first,
               "\nselfalign_tokens_total", label, "\"completion\"} ",
               count.second, "\n");
  }
  head(out, "selfalign_connections", "gauge", "Open connections.");
  out += str("selfalign_connections ", num_connections_, "\n");
  head(out, "selfalign_rows_queued", "gauge", "Rows that wait for a slot.");
  for (const ModelLoad& load : models) {
    out += str("selfalign_rows_queued{model=", quoted(load.model), "} ",
               load.num_queued, "\n");
  }
  head(out, "selfalign_rows_working", "gauge", "Rows in the batch.");
  for (const ModelLoad& load : models) {
    out += str("selfalign_rows_working{model=", quoted(load.model), "} ",
               load.num_working, "\n");
  }
  head(out, "selfalign_request_seconds", "histogram",
       "From the request's first byte to the answer's end.");
  for (const auto& [path, histogram] : seconds_) {
    const std::string label = "{path=" + quoted(path);
    int64_t total = 0;
    for (size_t i = 0; i <= kBounds.size(); ++i) {
      total += histogram.counts[i];
      out += str("selfalign_request_seconds_bucket", label, ",le=\"",
                 i < kBounds.size() ? str(kBounds[i]) : "+Inf", "\"} ", total,
                 "\n");
    }
    out += str("selfalign_request_seconds_sum", label, "} ", histogram.sum,
               "\nselfalign_request_seconds_count", label, "} ", total, "\n");
  }
  return out;
}

}  // namespace selfalign::serve
