// SPDX-License-Identifier: Apache-2.0
#include "train/checkpoint.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "base/file.h"
#include "base/testing.h"
#include "train/metrics.h"

namespace selfalign::train {
namespace {

namespace fs = std::filesystem;

std::string fresh_folder(const char* name) {
  std::string folder = testing::TempDir() + "selfalign_" + name;
  fs::remove_all(folder);
  return folder;
}

TrainState some_state() {
  TrainState state;
  state.step = 3;
  state.packs_done = 2;
  state.loss_sum = 1.0 / 3.0;
  state.tokens_done = 1234;
  state.loss_before = 2.7182818284590452;
  state.values = at::arange(40, at::kFloat);
  state.gradients = at::full({40}, 1e-30, at::kFloat);
  state.first_moment = at::full({40}, -2.5, at::kFloat);
  state.second_moment = at::full({40}, 0.1, at::kFloat);
  return state;
}

bool is_damaged(const std::string& folder, const std::string& identity,
                int64_t num_values) {
  try {
    load_checkpoint(folder, identity, num_values);
  } catch (const Error& error) {
    return error.kind() == ErrorKind::kDamaged;
  }
  return false;
}

TEST(Checkpoint, ComesBackExactly) {
  const std::string folder = fresh_folder("checkpoint");
  EXPECT_FALSE(load_checkpoint(folder, "id", 40).has_value());
  TrainState state = some_state();
  save_checkpoint(folder, "id", state);
  TrainState later = some_state();
  later.step = 4;
  later.loss_after = 0.1;
  save_checkpoint(folder, "id", later);
  const auto found = load_checkpoint(folder, "id", 40);
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->step, 4);
  EXPECT_EQ(found->packs_done, 2);
  EXPECT_EQ(found->loss_sum, 1.0 / 3.0);
  EXPECT_EQ(found->tokens_done, 1234);
  EXPECT_EQ(found->loss_before, later.loss_before);
  EXPECT_EQ(found->loss_after, 0.1);
  EXPECT_TRUE(found->values.equal(later.values));
  EXPECT_TRUE(found->gradients.equal(later.gradients));
  EXPECT_TRUE(found->first_moment.equal(later.first_moment));
  EXPECT_TRUE(found->second_moment.equal(later.second_moment));
  // The older checkpoint's tensors are gone.
  EXPECT_FALSE(fs::exists(folder + "/checkpoint-3-2.safetensors"));
}

TEST(Checkpoint, RefusesWhatDoesNotBelong) {
  const std::string folder = fresh_folder("checkpoint_bad");
  TrainState state = some_state();
  save_checkpoint(folder, "id", state);
  const std::string json = read_file(folder + "/checkpoint.json");
  for (const auto& [right, wrong] :
       {std::pair("\"step\":3", "\"step\":-1"),
        std::pair("\"packs_done\":2", "\"packs_done\":-1"),
        std::pair("\"step\":3", "\"step\":9007199254740993"),
        std::pair("\"tokens_done\":1234", "\"tokens_done\":-7")}) {
    std::string changed = json;
    changed.replace(changed.find(right), std::string(right).size(), wrong);
    write_file_atomic(folder + "/checkpoint.json", changed);
    EXPECT_TRUE(is_damaged(folder, "id", 40)) << wrong;
  }
  write_file_atomic(folder + "/checkpoint.json", json);
  EXPECT_TRUE(is_damaged(folder, "other", 40));
  EXPECT_TRUE(is_damaged(folder, "id", 41));
  const std::string tensors = folder + "/checkpoint-3-2.safetensors";
  const std::string bytes = read_file(tensors);
  write_file_atomic(tensors, bytes.substr(0, bytes.size() - 1));
  EXPECT_TRUE(is_damaged(folder, "id", 40));
  fs::remove(tensors);
  EXPECT_TRUE(is_damaged(folder, "id", 40));
  write_file_atomic(folder + "/checkpoint.json", "{\"version\": 1, ");
  EXPECT_TRUE(is_damaged(folder, "id", 40));
}

TEST(MetricsLog, DropsWhatACrashUndid) {
  const std::string folder = fresh_folder("metrics");
  {
    MetricsLog log(folder, 0);
    for (int step = 1; step <= 5; ++step) {
      StepMetrics metrics;
      metrics.step = step;
      metrics.loss = 0.1 * step;
      log.append(metrics);
    }
  }
  std::ofstream(folder + "/metrics.jsonl", std::ios::app)
      << "{\"step\": 6, \"l";
  {
    MetricsLog log(folder, 3);
    StepMetrics metrics;
    metrics.step = 4;
    metrics.loss = 9.0;
    log.append(metrics);
  }
  const std::string text = read_file(folder + "/metrics.jsonl");
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 4);
  EXPECT_EQ(text.find("\"step\":5"), std::string::npos);
  EXPECT_NE(text.find("\"loss\":9.0"), std::string::npos);
  size_t num_event_files = 0;
  for (const auto& entry : fs::directory_iterator(folder + "/tensorboard")) {
    num_event_files += entry.is_regular_file();
  }
  EXPECT_EQ(num_event_files, 1u);
}

// The folder may come from elsewhere, or a person may have put things there.
TEST(MetricsLog, WhatIsNotItsOwnIsRefused) {
  const std::string folder = fresh_folder("metrics_own");
  make_folder(folder + "/elsewhere");
  write_file_atomic(folder + "/precious", "precious");
  const std::string board = folder + "/tensorboard";
  const std::string lines = folder + "/metrics.jsonl";
  const auto expect_refusal = [&](const std::string& path) {
    const Error error = error_of([&] { MetricsLog log(folder, 0); });
    EXPECT_EQ(error.kind(), ErrorKind::kDamaged) << path;
    EXPECT_NE(std::string(error.what()).find(path + ": this is "),
              std::string::npos)
        << error.what();
    fs::remove(path);
  };
  write_file_atomic(board, "");
  expect_refusal(board);
  ASSERT_EQ(mkfifo(board.c_str(), 0600), 0);
  expect_refusal(board);
  fs::create_directory_symlink(folder + "/elsewhere", board);
  expect_refusal(board);
  ASSERT_EQ(mkfifo(lines.c_str(), 0600), 0);
  expect_refusal(lines);
  fs::create_symlink(folder + "/precious", lines);
  expect_refusal(lines);
  EXPECT_EQ(read_file(folder + "/precious"), "precious");
  EXPECT_TRUE(fs::is_empty(folder + "/elsewhere"));
  MetricsLog(folder, 0).append({});
}

}  // namespace
}  // namespace selfalign::train
