// SPDX-License-Identifier: Apache-2.0
#include "train/trainer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <numeric>
#include <sstream>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "base/json.h"
#include "base/random.h"
#include "model/load_weights.h"
#include "train/backward.h"
#include "train/frozen_base.h"

namespace selfalign::train {
namespace {

namespace fs = std::filesystem;

// Training on the tiny random model of tests/data.
class Training : public testing::Test {
 protected:
  Training()
      : weights_(model::load_weights("tests/data/tiny_llama", at::kCPU,
                                     at::kFloat)) {
    at::set_num_threads(1);  // the model is tiny
    for (int i = 0; i < 10; ++i) {
      std::vector<int> tokens;
      const int length = 8 + 3 * i;
      tokens.reserve(size_t(length));
      for (int t = 0; t < length; ++t) {
        tokens.push_back(int(draw_index(uint64_t(i), uint64_t(t), 256)));
      }
      samples_.push_back(text_sample(tokens, length / 3));
    }
    options_.rank = 4;
    options_.alpha = 8;
    options_.dropout = 0.1;
    options_.epochs = 3;
    options_.batch_size = 4;
    options_.learning_rate = 1e-2;
    options_.warmup_steps = 2;
    options_.checkpoint_steps = 2;
    options_.pack_tokens = 40;
    options_.seed = 11;
    options_.base_model = "tiny";
  }

  std::string fresh_folder(const char* name) {
    std::string folder = testing::TempDir() + "selfalign_train_" + name;
    fs::remove_all(folder);
    return folder;
  }

  TrainReport train(const std::string& folder) {
    options_.folder = folder;
    return train_model(weights_, samples_, options_);
  }

  // Stopped after every single pack; and how often.
  std::pair<TrainReport, int> train_in_pieces(const std::string& folder) {
    options_.on_pack = [] { set_interrupted(true); };
    std::pair<TrainReport, int> out;
    for (bool is_done = false; !is_done && out.second < 200;) {
      try {
        out.first = train(folder);
        is_done = true;
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::kInterrupted) << error.what();
        EXPECT_TRUE(fs::exists(folder + "/checkpoint.json"));
        ++out.second;
      }
      set_interrupted(false);
    }
    return out;
  }

  model::Weights weights_;
  std::vector<Sample> samples_;
  TrainOptions options_;
};

ErrorKind kind_of(const std::function<void()>& run) {
  try {
    run();
  } catch (const Error& error) {
    return error.kind();
  }
  return ErrorKind(0);
}

TEST_F(Training, LearnsAndReports) {
  const std::string folder = fresh_folder("learns");
  options_.epochs = 12;
  const TrainReport report = train(folder);
  EXPECT_EQ(report.num_steps, 12 * 3);  // the last batch of 2 is a step
  EXPECT_LT(report.loss_after, report.loss_before - 0.5);
  EXPECT_NEAR(report.loss_before, mean_loss(weights_, nullptr, samples_, 64),
              1e-5);
  const model::Lora lora =
      model::load_lora(folder + "/adapter", weights_.config, at::kCPU);
  EXPECT_EQ(model::lora_digest(lora), report.digest);
  EXPECT_NEAR(report.loss_after, mean_loss(weights_, &lora, samples_, 64),
              1e-5);
  const std::string lines = read_file(folder + "/metrics.jsonl");
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 36);
  // A second call finds the work done.
  const TrainReport again = train(folder);
  EXPECT_EQ(again.digest, report.digest);
  EXPECT_EQ(again.loss_after, report.loss_after);
  EXPECT_EQ(read_file(folder + "/metrics.jsonl"), lines);
}

int64_t last_step(const std::string& folder) {
  const std::string path = folder + "/checkpoint.json";
  return json_int(parse_json(read_file(path), path), "step", path);
}

// Stopped after every single pack, in the middle of steps too, the training
// ends with the bits of one that ran through.
TEST_F(Training, InterruptedEverywhereGivesTheSameBits) {
  const TrainReport whole = train(fresh_folder("whole"));
  const std::string folder = fresh_folder("pieces");
  const auto [report, num_stops] = train_in_pieces(folder);
  EXPECT_GT(num_stops, 9);  // more packs than steps
  EXPECT_EQ(report.digest, whole.digest);
  EXPECT_EQ(report.loss_after, whole.loss_after);
  EXPECT_EQ(last_step(folder), 9);
}

// Killed without a word, it goes on from the last checkpoint, and the metrics
// of the lost steps do not appear twice.
TEST_F(Training, KilledGivesTheSameBits) {
  const TrainReport whole = train(fresh_folder("whole"));
  const std::string folder = fresh_folder("killed");
  int num_packs = 0;
  options_.on_pack = [&] {
    if (++num_packs == 13) throw std::runtime_error("killed");
  };
  EXPECT_THROW(train(folder), std::runtime_error);
  EXPECT_EQ(last_step(folder) % 2, 0);
  options_.on_pack = nullptr;
  EXPECT_EQ(train(folder).digest, whole.digest);
  const std::string lines = read_file(folder + "/metrics.jsonl");
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 9);
}

TEST_F(Training, OtherSettingsOrSamplesAreDamage) {
  const std::string folder = fresh_folder("other");
  options_.epochs = 1;
  train(folder);
  options_.learning_rate *= 2;
  EXPECT_EQ(kind_of([&] { train(folder); }), ErrorKind::kDamaged);
  options_.learning_rate /= 2;
  samples_[3].inputs[2] ^= 1;
  EXPECT_EQ(kind_of([&] { train(folder); }), ErrorKind::kDamaged);
  samples_[3].inputs[2] ^= 1;
  EXPECT_NO_THROW(train(folder));
}

// A checkpoint of no place in the training, as damage or somebody makes it.
TEST_F(Training, APlaceOutsideTheTrainingIsDamage) {
  const std::string folder = fresh_folder("place");
  options_.epochs = 1;
  train(folder);
  const std::string path = folder + "/checkpoint.json";
  const std::string right = read_file(path);
  for (const char* name : {"step", "packs_done"}) {
    Json json = parse_json(right, path);
    json[name] = 1'000'000;
    write_file_atomic(path, dump_json(json));
    EXPECT_EQ(kind_of([&] { train(folder); }), ErrorKind::kDamaged) << name;
  }
  write_file_atomic(path, right);
  EXPECT_NO_THROW(train(folder));
}

TEST_F(Training, RefusesBadSettings) {
  options_.dropout = 1.0;
  EXPECT_EQ(kind_of([&] { train(fresh_folder("bad")); }), ErrorKind::kUsage);
  options_.dropout = 0.0;
  options_.batch_size = 0;
  EXPECT_EQ(kind_of([&] { train(fresh_folder("bad")); }), ErrorKind::kUsage);
}

// A broken number stops the training and leaves no adapter.
TEST_F(Training, NonFiniteLossStops) {
  const std::string folder = fresh_folder("nan");
  weights_.final_norm.weight = weights_.final_norm.weight.clone();
  weights_.final_norm.weight[5].fill_(std::numeric_limits<float>::quiet_NaN());
  EXPECT_EQ(kind_of([&] { train(folder); }), ErrorKind::kFailed);
  EXPECT_FALSE(fs::exists(folder + "/adapter"));
}

// Samples of one pack do not see each other: the loss is that of each alone.
TEST_F(Training, PackingDoesNotChangeTheLoss) {
  EXPECT_NEAR(mean_loss(weights_, nullptr, samples_, 1),
              mean_loss(weights_, nullptr, samples_, 100000), 1e-5);
}

// A step's gradient is the mean over its response tokens, however they are cut
// into passes.
TEST_F(Training, EveryResponseTokenWeighsTheSame) {
  options_.dropout = 0.0;
  options_.epochs = 1;
  options_.batch_size = int(samples_.size());
  const auto gradient_norm = [this](int64_t pack_tokens) {
    const std::string folder = fresh_folder("weighs");
    options_.pack_tokens = pack_tokens;
    train(folder);
    const std::string path = folder + "/metrics.jsonl";
    return json_number(parse_json(read_file(path), path), "grad_norm", path);
  };
  const double together = gradient_norm(100000);
  EXPECT_NEAR(gradient_norm(1), together, 1e-4 * together);
}

TEST_F(Training, TheAdapterIsScaledByAlphaOverRank) {
  const auto scale = [this] {
    return init_lora(weights_.config, options_).layers[0].q.scale;
  };
  EXPECT_DOUBLE_EQ(scale(), 8.0 / 4.0);
  options_.use_rslora = true;
  EXPECT_DOUBLE_EQ(scale(), 8.0 / 2.0);
}

TEST_F(Training, CheckpointingGivesTheSameBits) {
  options_.target_modules = {"all-linear"};
  const TrainReport plain = train(fresh_folder("plain"));
  options_.gradient_checkpointing = true;
  EXPECT_EQ(train(fresh_folder("checkpointing")).digest, plain.digest);
}

// All weights: stopped after every pack it ends with the bits of one that ran
// through, and what is saved is what the losses are of.
TEST_F(Training, OfAllWeightsGoesOnToTheSameBits) {
  options_.method = "full";
  options_.learning_rate = 2e-3;
  options_.weight_decay = 0.1;
  model::Weights saved;
  options_.save_model = [&](const model::Weights& tuned) { saved = tuned; };
  const TrainReport whole = train(fresh_folder("full"));
  EXPECT_LT(whole.loss_after, whole.loss_before - 0.5);
  EXPECT_NEAR(whole.loss_before, mean_loss(weights_, nullptr, samples_, 64),
              1e-5);
  EXPECT_NEAR(whole.loss_after, mean_loss(saved, nullptr, samples_, 64), 1e-5);
  EXPECT_FALSE(saved.embedding.equal(weights_.embedding));
  EXPECT_FALSE(saved.final_norm.weight.equal(weights_.final_norm.weight));
  options_.gradient_checkpointing = true;
  EXPECT_EQ(train(fresh_folder("full_checkpointing")).digest, whole.digest);
  options_.gradient_checkpointing = false;

  const std::string folder = fresh_folder("full_pieces");
  const auto [report, num_stops] = train_in_pieces(folder);
  EXPECT_GT(num_stops, 9);
  EXPECT_EQ(report.digest, whole.digest);
  EXPECT_EQ(report.loss_after, whole.loss_after);
}

// Steps that bfloat16 could not hold add up in the float32 masters, and a
// token's gradients are added up in float32.
TEST_F(Training, OfAllWeightsKeepsMastersInFloat32) {
  const model::Weights half =
      model::load_weights("tests/data/tiny_llama", at::kCPU, at::kBFloat16);
  const WeightParameters parameters(half);
  EXPECT_EQ(parameters.weights().dtype(), at::kBFloat16);
  EXPECT_EQ(parameters.values().scalar_type(), at::kFloat);
  const WeightParameters exact(weights_);
  std::vector<uint32_t> order(samples_.size());
  std::iota(order.begin(), order.end(), 0U);
  const model::Rope rope = model::make_rope(half.config, 64, at::kCPU);
  for (const Pack& pack :
       pack_samples(samples_, order, 0, order.size(), 100000)) {
    backward_pack(rope, parameters, pack, 1.0, nullptr);
    backward_pack(rope, exact, pack, 1.0, nullptr);
  }
  const double error =
      at::sub(parameters.gradients(), exact.gradients()).norm().item<double>();
  EXPECT_LT(error, 0.02 * exact.gradients().norm().item<double>());
  const at::Tensor before = parameters.values().clone();
  TrainOptions options;
  AdamW adam(options, parameters.values(), parameters.num_decayed());
  adam.step(parameters.values(), parameters.gradients(), 1e-6);
  EXPECT_GT(parameters.values().ne(before).sum().item<int64_t>(),
            before.numel() / 2);
}

TEST_F(Training, OfAllWeightsRefusesABaseInCodes) {
  options_.method = "full";
  options_.folder = fresh_folder("full_codes");
  const model::Weights codes = model::held_weights(model::open_weights(
      "tests/data/tiny_llama", at::kFloat, model::Rounding::kInt4));
  EXPECT_EQ(kind_of([&] { train_model(codes, samples_, options_); }),
            ErrorKind::kUsage);
}

// QLoRA: a frozen base in codes is what its values are.
TEST_F(Training, OnABaseInCodesIsAsOnTheirValues) {
  const model::Weights opened = model::open_weights(
      "tests/data/tiny_llama", at::kFloat, model::Rounding::kInt4);
  const model::Weights codes = model::held_weights(opened);
  model::Weights values = weights_;
  for (int64_t i = 0; i < values.config.num_layers; ++i) {
    values.layers[size_t(i)] = codes.layer(i);
  }
  options_.target_modules = {"all-linear"};
  options_.folder = fresh_folder("codes");
  const TrainReport report = train_model(codes, samples_, options_);
  options_.folder = fresh_folder("values");
  EXPECT_EQ(train_model(values, samples_, options_).digest, report.digest);
  EXPECT_LT(report.loss_after, report.loss_before);
}

// On products of whole numbers it learns as on the matrices, goes on after each
// stop to the same bits, and is another training.
TEST_F(Training, OnABaseInWholeNumbersLearnsTheSame) {
  options_.target_modules = {"all-linear"};
  const TrainReport plain = train(fresh_folder("plain_base"));
  weights_ = frozen_base(model::open_weights(
      "tests/data/tiny_llama", at::kFloat, model::Rounding::kW8a8));
  const TrainReport coded = train(fresh_folder("frozen_base"));
  EXPECT_NE(coded.digest, plain.digest);
  EXPECT_NEAR(coded.loss_before, plain.loss_before, 0.02);
  EXPECT_LT(coded.loss_after, coded.loss_before - 0.5);
  EXPECT_NEAR(coded.loss_after, plain.loss_after, 0.05);
  options_.gradient_checkpointing = true;
  EXPECT_EQ(train(fresh_folder("coded_layers")).digest, coded.digest);
  options_.gradient_checkpointing = false;
  const auto [pieces, stops] = train_in_pieces(fresh_folder("coded_pieces"));
  EXPECT_GT(stops, 3);
  EXPECT_EQ(pieces.digest, coded.digest);
}

TEST_F(Training, TargetsRanksAndAlphasAreWhatWasAsked) {
  options_.target_modules = {"v_proj", "gate_proj", "down_proj"};
  options_.rank_pattern = {{"down_proj", 2}};
  options_.alpha_pattern = {{"v_proj", 6.0}};
  const std::string folder = fresh_folder("targets");
  const TrainReport report = train(folder);
  const model::Lora lora =
      model::load_lora(folder + "/adapter", weights_.config, at::kCPU);
  EXPECT_EQ(model::lora_digest(lora), report.digest);
  const model::LoraLayer& layer = lora.layers[1];
  EXPECT_FALSE(layer.q.a.defined());
  EXPECT_FALSE(layer.up.a.defined());
  EXPECT_EQ(layer.gate.a.size(0), 4);
  EXPECT_EQ(layer.gate.scale, 2.0);
  EXPECT_EQ(layer.down.a.size(0), 2);
  EXPECT_EQ(layer.down.scale, 4.0);
  EXPECT_EQ(layer.v.scale, 1.5);
  EXPECT_GT(layer.down.b.abs().max().item<double>(), 0.0);  // it learnt
}

TEST_F(Training, HeldOutSamplesAreMeasuredAndNotTrainedOn) {
  options_.validation_share = 0.25;  // 3 of 10
  const std::string folder = fresh_folder("validation");
  const TrainReport report = train(folder);
  EXPECT_EQ(report.num_steps, 3 * 2);  // 7 samples in batches of 4
  ASSERT_TRUE(report.validation_before && report.validation_after);
  EXPECT_NE(*report.validation_before, *report.validation_after);
  std::vector<double> by_epoch;
  const std::string path = folder + "/metrics.jsonl";
  std::istringstream lines(read_file(path));
  for (std::string line; std::getline(lines, line);) {
    const Json json = parse_json(line, path);
    if (json.contains("validation_loss")) {
      EXPECT_EQ(json["step"].get<int>() % 2, 0);
      by_epoch.push_back(json["validation_loss"]);
    }
  }
  ASSERT_EQ(by_epoch.size(), 3u);
  EXPECT_DOUBLE_EQ(by_epoch[2], *report.validation_after);
  // What is held out does not teach: with other tokens in it, the same bits.
  const auto held = [&](size_t i) {
    const std::vector<uint32_t> order = epoch_order(options_.seed, -1, 10);
    return std::find(order.begin(), order.begin() + 3, i) != order.begin() + 3;
  };
  for (size_t i = 0; i < samples_.size(); ++i) {
    if (held(i)) samples_[i].targets.assign(samples_[i].targets.size(), 7);
  }
  EXPECT_EQ(train(fresh_folder("validation_other")).digest, report.digest);
  options_.validation_share = 0.0;
  EXPECT_FALSE(train(fresh_folder("no_validation")).validation_after);
}

// A checkpoint is of one set of settings; gradient_checkpointing is none that
// decides the result.
TEST_F(Training, LaterSettingsBelongToTheCheckpoint) {
  const std::string folder = fresh_folder("identity");
  train(folder);
  options_.gradient_checkpointing = true;
  EXPECT_NO_THROW(train(folder));
  options_.lr_scheduler = "cosine";
  EXPECT_EQ(kind_of([&] { train(folder); }), ErrorKind::kDamaged);
}

TEST(Schedule, FallsLinearlyByACosineOrNotAtAll) {
  TrainOptions options;
  options.learning_rate = 2.0;
  options.warmup_steps = 0;
  const auto rate = [&](const char* name, int64_t step) {
    options.lr_scheduler = name;
    return learning_rate_at(options, step, 8);
  };
  EXPECT_DOUBLE_EQ(rate("linear", 2), 1.5);
  EXPECT_DOUBLE_EQ(rate("constant", 7), 2.0);
  EXPECT_DOUBLE_EQ(rate("cosine", 0), 2.0);
  EXPECT_NEAR(rate("cosine", 2), 1.0 + std::cos(0.25 * 3.14159265358979), 1e-9);
  EXPECT_NEAR(rate("cosine", 4), 1.0, 1e-12);
  options.warmup_steps = 4;  // as transformers warms up
  EXPECT_DOUBLE_EQ(rate("cosine", 0), 0.0);
  EXPECT_DOUBLE_EQ(rate("constant", 3), 1.5);
  EXPECT_DOUBLE_EQ(rate("constant", 4), 2.0);
  EXPECT_NEAR(rate("cosine", 6), 1.0, 1e-12);
}

class CountedDropout : public model::LoraDropout {
 public:
  at::Tensor apply(const at::Tensor& x) override {
    ++count;
    return x;
  }
  at::Tensor state() const override { return {}; }
  void set_state(const at::Tensor&) override {}
  int64_t count = 0;
};

// q, k and v too, which read the same input.
TEST_F(Training, EveryProjectionDrawsItsOwnDropout) {
  const LoraParameters parameters(weights_,
                                  init_lora(weights_.config, options_));
  const std::vector<Pack> packs = pack_samples(samples_, {0}, 0, 1, 1000);
  CountedDropout dropout;
  backward_pack(model::make_rope(weights_.config, 64, at::kCPU), parameters,
                packs.at(0), 1.0, &dropout);
  EXPECT_EQ(dropout.count, 4 * weights_.config.num_layers);
}

TEST(Dropout, KeepsTheMeanAndRepeats) {
  const at::Tensor x = at::ones({200, 100}, at::kFloat);
  SeededDropout dropout(0.25, 3, at::kCPU);
  const at::Tensor y = dropout.apply(x);
  // q, k and v read the same input and draw a mask each.
  const at::Tensor second = dropout.apply(x);
  const at::Tensor both = at::mul(y.eq(0), second.eq(0));
  EXPECT_NEAR(both.to(at::kFloat).mean().item<double>(), 0.0625, 0.01);
  EXPECT_NEAR(y.mean().item<double>(), 1.0, 0.02);
  EXPECT_NEAR(y.eq(0).to(at::kFloat).mean().item<double>(), 0.25, 0.02);
  EXPECT_TRUE(SeededDropout(0.25, 3, at::kCPU).apply(x).equal(y));
  EXPECT_FALSE(SeededDropout(0.25, 4, at::kCPU).apply(x).equal(y));
  SeededDropout again(0.25, 3, at::kCPU);
  again.apply(x);
  EXPECT_TRUE(again.apply(x).equal(second));
}

}  // namespace
}  // namespace selfalign::train
