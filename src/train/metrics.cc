// SPDX-License-Identifier: Apache-2.0
#include "train/metrics.h"

#include <filesystem>
#include <sstream>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/folder.h"
#include "base/json.h"
#include "base/log.h"
#include "base/own_file.h"

namespace selfalign::train {
namespace {

namespace fs = std::filesystem;

std::string to_line(const StepMetrics& metrics) {
  Json json;
  json["step"] = metrics.step;
  json["epoch"] = metrics.epoch;
  json["loss"] = metrics.loss;
  json["grad_norm"] = metrics.grad_norm;
  json["learning_rate"] = metrics.learning_rate;
  json["num_tokens"] = metrics.num_tokens;
  json["tokens_per_s"] = metrics.tokens_per_s;
  if (metrics.validation_loss) {
    json["validation_loss"] = *metrics.validation_loss;
  }
  return dump_json(json) + "\n";
}

// Lines up to last_step. A line that cannot be read (cut off by a crash) ends
// the file.
std::vector<StepMetrics> read_lines(const std::string& path,
                                    int64_t last_step) {
  std::vector<StepMetrics> kept;
  if (std::error_code ignored; !fs::exists(path, ignored)) return kept;
  std::istringstream lines(read_file(path));
  try {
    for (std::string line; std::getline(lines, line);) {
      const StepMetrics metrics = metrics_from_line(line, path);
      if (metrics.step > last_step) break;
      kept.push_back(metrics);
    }
  } catch (const Error& error) {
    log_warning(str("dropping the end of the metrics: ", error.what()));
  }
  return kept;
}

// What cannot be removed stays: curves twice are better than none.
void remove_events(const std::string& folder) {
  for (const fs::path path : list_folder(folder)) {
    if (path.filename().string().starts_with("events.out.tfevents")) {
      std::error_code ignored;
      fs::remove(path, ignored);
    }
  }
}

}  // namespace

StepMetrics metrics_from_line(const std::string& line,
                              const std::string& where) {
  const Json json = parse_json(line, where);
  StepMetrics metrics;
  metrics.step = json_int(json, "step", where);
  if (json.contains("epoch")) {
    metrics.epoch = int(json_int_in(json, "epoch", where, 0, INT32_MAX));
  }
  metrics.loss = json_number(json, "loss", where);
  metrics.grad_norm = json_number(json, "grad_norm", where);
  metrics.learning_rate = json_number(json, "learning_rate", where);
  metrics.num_tokens = json_int(json, "num_tokens", where);
  metrics.tokens_per_s = json_number(json, "tokens_per_s", where);
  if (json.contains("validation_loss")) {
    metrics.validation_loss = json_number(json, "validation_loss", where);
  }
  return metrics;
}

MetricsLog::MetricsLog(const std::string& folder, int64_t last_step) {
  const std::string path = folder + "/metrics.jsonl";
  make_folder_in(folder, "tensorboard");
  require_plain_file(path);
  const std::vector<StepMetrics> kept = read_lines(path, last_step);
  std::string text;
  for (const StepMetrics& metrics : kept) text += to_line(metrics);
  write_file_atomic(path, text);
  remove_events(folder + "/tensorboard");
  tensorboard_ =
      std::make_unique<formats::TensorBoardWriter>(folder + "/tensorboard");
  for (const StepMetrics& metrics : kept) curves(metrics);
  tensorboard_->flush();
  lines_ = std::make_unique<OwnFile>(path);
}

void MetricsLog::append(const StepMetrics& metrics) {
  lines_->append(to_line(metrics));
  curves(metrics);
  tensorboard_->flush();
}

void MetricsLog::curves(const StepMetrics& metrics) {
  tensorboard_->scalar("loss", metrics.loss, metrics.step);
  tensorboard_->scalar("grad_norm", metrics.grad_norm, metrics.step);
  tensorboard_->scalar("learning_rate", metrics.learning_rate, metrics.step);
  tensorboard_->scalar("tokens_per_s", metrics.tokens_per_s, metrics.step);
  if (metrics.validation_loss) {
    tensorboard_->scalar("validation_loss", *metrics.validation_loss,
                         metrics.step);
  }
}

}  // namespace selfalign::train
