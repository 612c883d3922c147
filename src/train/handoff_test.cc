// SPDX-License-Identifier: Apache-2.0
// What is handed on, and which results are taken. That the script trains as the
// own trainer does: tools/check_handoff.py.
#include "train/handoff.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <sstream>

#include "base/file.h"
#include "base/json.h"
#include "base/random.h"
#include "base/sha256.h"
#include "base/testing.h"
#include "formats/peft.h"
#include "model/load_weights.h"
#include "train/handoff_configs.h"
#include "train/split.h"

namespace selfalign::train {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr char kBase[] = "tests/data/tiny_llama";

class HandoffTest : public testing::Test {
 protected:
  HandoffTest() : weights_(model::load_weights(kBase, at::kCPU, at::kFloat)) {
    at::set_num_threads(1);  // the model is tiny
    for (int i = 0; i < 12; ++i) {
      std::vector<int> tokens;
      const int length = 8 + 3 * i;
      tokens.reserve(size_t(length));
      for (int t = 0; t < length; ++t) {
        tokens.push_back(int(draw_index(uint64_t(i % 3), uint64_t(t), 256)));
      }
      samples_.push_back(text_sample(tokens, 4));
    }
    options_.rank = 4;
    options_.dropout = 0.0;
    options_.epochs = 3;
    options_.batch_size = 4;
    options_.learning_rate = 1e-2;
    options_.warmup_steps = 2;
    options_.base_model = "tiny";
    options_.folder = path("own");
  }

  std::string path(const std::string& name) const {
    return folder_.path() + "/" + name;
  }
  Handoff hand_off() {
    return write_handoff(path("handoff"), kBase, weights_, samples_, options_);
  }
  // Trains with our own trainer on what was handed on.
  TrainReport train(const Handoff& handoff) {
    return train_model(weights_, handoff.learnt, options_);
  }
  Json json_of(const std::string& name) const {
    return parse_json(read_file(path(name)), name);
  }
  void change(const std::string& name, const char* key, const Json& value) {
    Json json = json_of(name);
    json[key] = value;
    write_file_atomic(path(name), dump_json(json));
  }
  TrainReport adopt(const Handoff& handoff) {
    options_.folder = path("adopted");
    TrainReport report = adopt_result(handoff, weights_, options_);
    options_.folder = path("own");
    return report;
  }
  std::string refusal(const Handoff& handoff) {
    std::string text = message_of([&] { adopt(handoff); });
    options_.folder = path("own");
    EXPECT_FALSE(fs::exists(path("adopted/adapter")));
    return text;
  }

  const ScratchFolder folder_;
  model::Weights weights_;
  std::vector<Sample> samples_;
  TrainOptions options_;
};

TEST_F(HandoffTest, SaysAllThatATrainingTakes) {
  const Handoff handoff = hand_off();
  EXPECT_EQ(handoff.learnt.size(), 11U);
  EXPECT_EQ(handoff.held_back.size(), 1U);
  EXPECT_EQ(handoff.num_steps, 9);
  const Json json = json_of("handoff/handoff.json");
  EXPECT_EQ(json["base"]["path"], kBase);
  EXPECT_EQ(json["base"]["fingerprint"], weights_.digest);
  for (const char* part : {"samples", "held_back", "steps"}) {
    const std::string file = json[part]["file"];
    EXPECT_EQ(json[part]["sha256"], sha256_file(path("handoff/" + file)));
  }
  std::istringstream lines(read_file(path("handoff/samples.jsonl")));
  std::string line;
  for (const Sample& sample : handoff.learnt) {
    ASSERT_TRUE(std::getline(lines, line));
    const Json one = parse_json(line, "line");
    EXPECT_EQ(one["tokens"], Json(sample.inputs));
    size_t num_targets = 0;
    for (size_t row = 0; row < sample.inputs.size(); ++row) {
      const int64_t target = one["targets"][row];
      if (target < 0) continue;
      EXPECT_EQ(int64_t(row), sample.loss_rows.at(num_targets));
      EXPECT_EQ(target, sample.targets.at(num_targets++));
    }
    EXPECT_EQ(num_targets, sample.targets.size());
  }
  // Each epoch every sample once, at the own trainer's rates.
  std::istringstream steps(read_file(path("handoff/steps.jsonl")));
  std::vector<int> times(11);
  for (int64_t step = 0; step < 9; ++step) {
    ASSERT_TRUE(std::getline(steps, line));
    const Json one = parse_json(line, "line");
    EXPECT_EQ(one["learning_rate"], learning_rate_at(options_, step, 9));
    EXPECT_EQ(one["samples"].size(), step % 3 == 2 ? 3U : 4U);
    for (const Json& index : one["samples"]) ++times.at(index.get<size_t>());
  }
  EXPECT_EQ(times, std::vector<int>(11, 3));
  const auto initial = formats::read_adapter_config(path("handoff/initial"));
  EXPECT_EQ(initial.rank, 4);
  EXPECT_THAT(read_file(path("handoff/train.py")), HasSubstr("handoff.json"));
}

// For trainers whose labels are the tokens themselves.
TEST_F(HandoffTest, LabelsAreTheTokensThatAreReadNext) {
  // "1 2 3" learnt, then the end, which is not read; "4" is given, "5" learnt.
  const Sample sample{{1, 2, 3, 4, 5}, {0, 1, 2, 3, 4}, {2, 3, 9, 5, 9}};
  const Json json = tokenized_sample(sample);
  EXPECT_EQ(json["input_ids"], Json({1, 2, 3, 4, 5, 9}));
  EXPECT_EQ(json["labels"], Json({-100, 2, 3, -100, 5, 9}));
  hand_off();
  const std::string axolotl = read_file(path("handoff/axolotl.yaml"));
  EXPECT_THAT(axolotl, HasSubstr("lora_r: 4\n"));
  EXPECT_THAT(axolotl, HasSubstr("  - q_proj\n"));
  EXPECT_THAT(read_file(path("handoff/llama_factory.yaml")),
              HasSubstr("lora_target: q_proj,k_proj,v_proj,o_proj\n"));
}

TEST_F(HandoffTest, StaysAsItIsUntilSomethingElseIsAsked) {
  hand_off();
  write_file_atomic(path("handoff/mine"), "a command's");
  const auto before = fs::last_write_time(path("handoff/samples.jsonl"));
  hand_off();
  EXPECT_TRUE(is_file(path("handoff/mine")));
  EXPECT_EQ(fs::last_write_time(path("handoff/samples.jsonl")), before);
  options_.learning_rate *= 2;
  EXPECT_EQ(kind_of([&] { hand_off(); }), ErrorKind::kDamaged);
  options_.learning_rate /= 2;
  samples_[3].inputs[1] ^= 1;
  EXPECT_EQ(kind_of([&] { hand_off(); }), ErrorKind::kDamaged);
}

TEST_F(HandoffTest, TheMetricsOfACommandAreReadAsTheyCome) {
  const Handoff handoff = hand_off();
  uint64_t done = 0;
  EXPECT_TRUE(new_metrics(handoff, done).empty());
  const std::string one =
      R"({"step":1,"loss":2.5,"grad_norm":1,"learning_rate":0,"num_tokens":9,)"
      R"("tokens_per_s":10})";
  write_file_atomic(path("handoff/metrics.jsonl"), one + "\nnonsense\n{\"st");
  const auto first = new_metrics(handoff, done);
  ASSERT_EQ(first.size(), 1U);
  EXPECT_EQ(first[0].loss, 2.5);
  EXPECT_TRUE(new_metrics(handoff, done).empty());
  write_file_atomic(path("handoff/metrics.jsonl"),
                    one + "\nnonsense\n" + one + "\n");
  EXPECT_EQ(new_metrics(handoff, done).size(), 1U);
}

TEST_F(HandoffTest, AResultIsTakenAsTheOwnTrainersIs) {
  const Handoff handoff = hand_off();
  EXPECT_FALSE(has_result(handoff));
  const TrainReport own = train(handoff);
  place_result(handoff, path("own/adapter"), options_);
  EXPECT_TRUE(has_result(handoff));
  const TrainReport report = adopt(handoff);
  EXPECT_EQ(report.digest, own.digest);
  EXPECT_EQ(report.num_steps, own.num_steps);
  EXPECT_EQ(report.num_tokens, own.num_tokens);
  EXPECT_EQ(report.loss_before, own.loss_before);
  EXPECT_EQ(report.loss_after, own.loss_after);
  EXPECT_LT(*report.validation_after, *report.validation_before);
  EXPECT_EQ(read_file(path("adopted/adapter/adapter_model.safetensors")),
            read_file(path("own/adapter/adapter_model.safetensors")));
}

// Where a trainer of the user's has left it, by whatever path; and what lay
// there before is kept.
TEST_F(HandoffTest, AResultMayLieInTheHandOff) {
  const Handoff handoff = hand_off();
  const TrainReport own = train(handoff);
  fs::copy(path("own/adapter"), path("handoff/adapter"));
  fs::create_directory_symlink(path("handoff/adapter"), path("link"));
  fs::copy(path("own/adapter"), path("handoff/adapter/best"));
  for (const char* place : {"handoff/adapter", "link", "handoff/adapter/best",
                            "own/adapter", "handoff/adapter.replaced"}) {
    place_result(handoff, path(place), options_);
    EXPECT_EQ(adopt(handoff).digest, own.digest) << place;
    fs::remove_all(path("adopted"));
  }
  EXPECT_EQ(
      read_file(path("handoff/adapter.replaced/adapter_model.safetensors")),
      read_file(path("own/adapter/adapter_model.safetensors")));
  EXPECT_FALSE(fs::exists(path("handoff/adapter.new")));
  EXPECT_EQ(kind_of([&] { place_result(handoff, path("nothing"), options_); }),
            ErrorKind::kInput);
  EXPECT_TRUE(is_file(path("handoff/adapter/adapter_model.safetensors")));
}

// One that is refused leaves what was there, however often; and what a killed
// adoption left may itself be adopted.
TEST_F(HandoffTest, ARefusedResultTakesNothingAway) {
  const Handoff handoff = hand_off();
  const TrainReport own = train(handoff);
  fs::copy(path("own/adapter"), path("handoff/adapter"));
  fs::copy(path("own/adapter"), path("other"));
  write_file_atomic(path("other/README.md"), "another");
  for (int i = 0; i < 2; ++i) {
    const Placed placed = place_result(handoff, path("other"), options_);
    EXPECT_TRUE(is_file(path("handoff/adapter/README.md")));
    withdraw_result(handoff, placed, options_);
    EXPECT_FALSE(is_file(path("handoff/adapter/README.md")));
    EXPECT_FALSE(fs::exists(path("handoff/adapter.replaced")));
  }
  EXPECT_EQ(adopt(handoff).digest, own.digest);
  fs::remove_all(path("adopted"));
  EXPECT_EQ(adopt(handoff).adopted_from, path("other"));
  fs::rename(path("other"), path("handoff/adapter.new"));
  const Placed placed =
      place_result(handoff, path("handoff/adapter.new"), options_);
  EXPECT_TRUE(is_file(path("handoff/adapter/README.md")));
  EXPECT_TRUE(is_file(path("handoff/adapter.new/README.md")));
  place_result(handoff, path("own/adapter"), options_);
  EXPECT_TRUE(is_file(path("handoff/adapter.replaced.2/README.md")));
  withdraw_result(handoff, {}, options_);  // that lies where it was made
  EXPECT_TRUE(is_file(path("handoff/adapter/adapter_model.safetensors")));
}

// What it was made of is told by what was handed on, not by what is left of it.
TEST_F(HandoffTest, ACommandMayNotSayWhatItWasHanded) {
  const Handoff handoff = hand_off();
  train(handoff);
  place_result(handoff, path("own/adapter"), options_);
  for (const char* text :
       {"{}", "null", "[]", "{\"samples\":{\"sha256\":5}}"}) {
    write_file_atomic(path("handoff/handoff.json"), text);
    EXPECT_EQ(message_of([&] { adopt(handoff); }), "no error") << text;
    place_result(handoff, path("own/adapter"), options_);
    fs::remove_all(path("adopted"));
  }
  change("handoff/handoff.json", "samples", {{"sha256", "00"}});
  change("handoff/result.json", "samples_sha256", "00");
  EXPECT_THAT(refusal(handoff), HasSubstr("made of other data"));
}

TEST_F(HandoffTest, AWholeModelIsTaken) {
  options_.method = "full";
  options_.learning_rate = 2e-3;
  model::Weights tuned, taken;
  options_.save_model = [&](const model::Weights& of) { tuned = of; };
  const Handoff handoff = hand_off();
  EXPECT_TRUE(json_of("handoff/handoff.json")["initial"].is_null());
  train(handoff);
  // The base itself is no training.
  place_result(handoff, kBase, options_);
  EXPECT_THAT(refusal(handoff), HasSubstr("expected a loss below "));
  EXPECT_FALSE(taken.embedding.defined());
  // No model at all: what is there stays.
  EXPECT_EQ(kind_of([&] { place_result(handoff, path("own"), options_); }),
            ErrorKind::kInput);
  EXPECT_TRUE(is_file(path("handoff/model/config.json")));
}

TEST_F(HandoffTest, AResultOfSomethingElseIsRefused) {
  const Handoff handoff = hand_off();
  EXPECT_THAT(refusal(handoff), HasSubstr("no such file"));
  train(handoff);
  place_result(handoff, path("own/adapter"), options_);
  const std::string right = read_file(path("handoff/result.json"));
  for (const auto& [key, value, why] :
       {std::tuple<const char*, Json, const char*>{"steps", 8, "9 steps"},
        {"samples_sha256", "00", "made of other data"},
        {"steps_sha256", "00", "made of other data"},
        {"format", "other", "selfalign handoff result 1"},
        {"held_back_before", 0.5, "train the base that handoff.json names"}}) {
    change("handoff/result.json", key, value);
    EXPECT_THAT(refusal(handoff), HasSubstr(why)) << key;
    write_file_atomic(path("handoff/result.json"), right);
  }
  // Another rank, another scale, other modules, an adapter of nothing.
  const auto trained_with = [&](const std::function<void()>& otherwise) {
    const TrainOptions asked = options_;
    otherwise();
    options_.folder = path("other");
    fs::remove_all(options_.folder);
    train(handoff);
    options_ = asked;
    place_result(handoff, path("other/adapter"), options_);
    return refusal(handoff);
  };
  EXPECT_THAT(trained_with([&] { options_.rank = 2; }),
              HasSubstr("expected rank 4, scale 4, found rank 2"));
  EXPECT_THAT(trained_with([&] { options_.alpha = 5; }),
              HasSubstr("scale 1.25"));
  EXPECT_THAT(trained_with([&] { options_.target_modules = {"q_proj"}; }),
              HasSubstr("no adapter"));
  place_result(handoff, path("handoff/initial"), options_);
  EXPECT_THAT(refusal(handoff), HasSubstr("expected a loss below "));
  place_result(handoff, path("own/adapter"), options_);
  EXPECT_EQ(message_of([&] { adopt(handoff); }), "no error");
}

}  // namespace
}  // namespace selfalign::train
