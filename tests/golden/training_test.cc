// SPDX-License-Identifier: Apache-2.0
// The trainer against PyTorch, transformers and PEFT on the tiny random LLaMA
// of tests/data/tiny_llama (made by tools/make_golden_train.py): loss, LoRA
// gradients, ten AdamW steps.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "formats/tensor_source.h"
#include "model/load_weights.h"
#include "model/weight_places.h"
#include "train/backward.h"
#include "train/loss.h"
#include "train/optimizer.h"
#include "train/packing.h"
#include "train/trainer.h"

namespace selfalign::train {
namespace {

const char kFolder[] = "tests/data/tiny_llama";

class TrainingGolden : public testing::Test {
 protected:
  TrainingGolden()
      : golden_(parse_json(read_file(std::string(kFolder) + "/training.json"),
                           "training.json")),
        weights_(model::load_weights(kFolder, at::kCPU, at::kFloat)),
        lora_(model::load_lora(std::string(kFolder) + "/adapter",
                               weights_.config, at::kCPU)),
        rope_(model::make_rope(weights_.config, 64, at::kCPU)) {
    at::set_num_threads(1);  // the model is tiny
    for (const Json& json : golden_["samples"]) {
      samples_.push_back(text_sample(json["tokens"].get<std::vector<int>>(),
                                     json["prompt_length"].get<int64_t>()));
    }
    options_.warmup_steps = golden_["warmup_steps"];
    options_.learning_rate = golden_["learning_rate"];
    options_.weight_decay = golden_["weight_decay"];
    options_.max_grad_norm = golden_["max_grad_norm"];
  }

  // Mean loss of all samples in packs of about pack_tokens; adds gradients.
  double backward(const Parameters& parameters, int64_t pack_tokens) {
    std::vector<uint32_t> order(samples_.size());
    std::iota(order.begin(), order.end(), 0u);
    int64_t targets = 0;
    for (const Sample& sample : samples_) {
      targets += int64_t(sample.targets.size());
    }
    double sum = 0.0;
    for (const Pack& pack :
         pack_samples(samples_, order, 0, order.size(), pack_tokens)) {
      sum += backward_pack(rope_, parameters, pack, 1.0 / double(targets),
                           nullptr);
    }
    return sum / double(targets);
  }

  // AdamW steps; each with the loss before it and its gradients' norm.
  void ten_steps(const Parameters& parameters, const Json& losses,
                 const Json& norms) {
    AdamW adam(options_, parameters.values(), parameters.num_decayed());
    const int64_t num_steps = golden_["steps"];
    for (int64_t step = 0; step < num_steps; ++step) {
      EXPECT_NEAR(backward(parameters, 40), losses[size_t(step)].get<double>(),
                  1e-4)
          << "step " << step;
      const double norm =
          clip_gradients(parameters.gradients(), options_.max_grad_norm);
      EXPECT_NEAR(norm, norms[size_t(step)].get<double>(), 1e-3);
      adam.step(parameters.values(), parameters.gradients(),
                learning_rate_at(options_, step, num_steps));
      parameters.gradients().zero_();
    }
  }

  Json golden_;
  model::Weights weights_;
  model::Lora lora_;
  model::Rope rope_;
  std::vector<Sample> samples_;
  TrainOptions options_;
};

TEST_F(TrainingGolden, LossOfBaseAndAdapter) {
  EXPECT_NEAR(mean_loss(weights_, nullptr, samples_, 1000),
              golden_["base_loss"].get<double>(), 1e-5);
  EXPECT_NEAR(mean_loss(weights_, &lora_, samples_, 1000),
              golden_["losses"][0].get<double>(), 1e-5);
}

// One pack of all samples, and a pack for each (gradient accumulation), give
// PyTorch's gradients.
TEST_F(TrainingGolden, GradientsPackedAndAccumulated) {
  const auto source = formats::open_safetensors(std::string(kFolder) +
                                                "/gradients.safetensors");
  for (int64_t pack_tokens : {1000, 1}) {
    const LoraParameters parameters(weights_, lora_);
    EXPECT_NEAR(backward(parameters, pack_tokens),
                golden_["losses"][0].get<double>(), 1e-5);
    size_t num_compared = 0;
    const auto compare = [&](size_t layer, const char* target, const char* side,
                             const at::Tensor& matrix) {
      const std::string name =
          str("base_model.model.model.layers.", layer, ".self_attn.", target,
              ".lora_", side, ".weight");
      const formats::TensorView* view = source->find(name);
      ASSERT_NE(view, nullptr) << name;
      at::Tensor expected = at::empty(matrix.sizes(), at::kFloat);
      ASSERT_EQ(view->num_elements(), expected.numel());
      formats::to_float(*view, expected.data_ptr<float>());
      const double error = matrix.grad().sub(expected).norm().item<double>();
      EXPECT_LE(error, 1e-4 * expected.norm().item<double>()) << name;
      ++num_compared;
    };
    for (size_t i = 0; i < parameters.lora()->layers.size(); ++i) {
      const model::LoraLayer& layer = parameters.lora()->layers[i];
      const std::pair<const char*, const model::LoraPair*> pairs[] = {
          {"q_proj", &layer.q},
          {"k_proj", &layer.k},
          {"v_proj", &layer.v},
          {"o_proj", &layer.o}};
      for (const auto& [target, pair] : pairs) {
        compare(i, target, "A", pair->a);
        compare(i, target, "B", pair->b);
      }
    }
    EXPECT_EQ(num_compared, source->tensors().size());
  }
}

TEST_F(TrainingGolden, TenAdamWSteps) {
  const LoraParameters parameters(weights_, lora_);
  ten_steps(parameters, golden_["losses"], golden_["grad_norms"]);
  EXPECT_NEAR(mean_loss(weights_, parameters.lora(), samples_, 40),
              golden_["final_loss"].get<double>(), 1e-4);
}

// All weights, of which norms do not decay, as transformers' Trainer groups
// them.
TEST_F(TrainingGolden, TenStepsOfAllWeights) {
  const std::string path = str(kFolder, "/full_training.json");
  const Json full = parse_json(read_file(path), path);
  options_.learning_rate = full["learning_rate"];
  const WeightParameters parameters(weights_);
  ten_steps(parameters, full["losses"], full["norms"]);
  EXPECT_NEAR(mean_loss(parameters.weights(), nullptr, samples_, 40),
              full["losses"][golden_["steps"].get<size_t>()].get<double>(),
              1e-4);
  EXPECT_EQ(full["not_decayed"].size(), 5u);
  for (const auto& [name, sums] : full["sums"].items()) {
    model::Weights weights = parameters.weights();
    model::visit_weights(weights, [&, &name = name, &sums = sums](
                                      const at::Tensor& tensor,
                                      const model::TensorPlace& place) {
      if (place.name != name) return;
      const at::Tensor values = tensor.detach().to(at::kDouble);
      EXPECT_NEAR(values.sum().item<double>(), sums[0].get<double>(), 1e-3)
          << name;
      EXPECT_NEAR(values.abs().sum().item<double>(), sums[1].get<double>(),
                  1e-3 + 1e-5 * sums[1].get<double>())
          << name;
    });
  }
}

// Samples with a common start, which stands in the pack once, have the
// gradients that they have alone; long enough for several blocks of queries.
TEST_F(TrainingGolden, SharedStartChangesNothing) {
  samples_.clear();
  for (int i = 0; i < 5; ++i) {
    std::vector<int> tokens;
    for (int t = 0; t < 60 + 70 * i; ++t) {
      tokens.push_back((t < 30 ? 7 * t : 11 * t * (i + 1)) % 256);
    }
    samples_.push_back(text_sample(tokens, 35 + i));
  }
  rope_ = model::make_rope(weights_.config, 400, at::kCPU);
  const LoraParameters alone(weights_, lora_);
  const LoraParameters together(weights_, lora_);
  EXPECT_NEAR(backward(alone, 1), backward(together, 10000), 1e-5);
  const double norm = alone.gradients().norm().item<double>();
  const double error =
      alone.gradients().sub(together.gradients()).norm().item<double>();
  EXPECT_GT(norm, 0.1);
  EXPECT_LE(error, 1e-5 * norm);
}

// Two turns: user 10 tokens, answer 8, user 6, answer 7; each answer ends with
// token 0, which is predicted there and not read.
struct TwoTurns {
  std::vector<int> text;
  Sample whole, first, second;

  TwoTurns() {
    for (int t = 0; t < 31; ++t) text.push_back((37 * t + 11) % 256);
    whole.inputs = text;
    for (const auto& [begin, end] : {std::pair{10, 18}, {24, 31}}) {
      Sample& part = begin == 10 ? first : second;
      part.inputs.assign(text.begin(), text.begin() + end);
      for (int t = begin; t <= end; ++t) {
        for (Sample* sample : {&whole, &part}) {
          sample->loss_rows.push_back(t - 1);
          sample->targets.push_back(t == end ? 0 : text[size_t(t)]);
        }
      }
    }
  }
};

TEST_F(TrainingGolden, LossOfTwoTurnsIsThatOfTheLogits) {
  const TwoTurns turns;
  at::Tensor ids = at::empty({31}, at::kLong);
  for (int64_t t = 0; t < 31; ++t) {
    ids.data_ptr<int64_t>()[t] = turns.text[size_t(t)];
  }
  const at::NoGradGuard no_graph;
  model::CausalAttention attention(weights_.config);
  const at::Tensor hidden =
      model::hidden_states(weights_, rope_, ids, at::arange(31, at::kLong),
                           attention, {.lora = &lora_});
  const at::Tensor logits =
      model::logits(weights_, hidden).to(at::kDouble).contiguous();
  const int64_t vocabulary = logits.size(1);
  double sum = 0.0;
  const auto add = [&](int64_t row, int token) {
    const double* values = logits.data_ptr<double>() + row * vocabulary;
    double total = 0.0;
    for (int64_t v = 0; v < vocabulary; ++v) total += std::exp(values[v]);
    sum += std::log(total) - values[token];
  };
  for (int64_t t = 10; t < 18; ++t) add(t - 1, turns.text[size_t(t)]);
  add(17, 0);
  for (int64_t t = 24; t < 31; ++t) add(t - 1, turns.text[size_t(t)]);
  add(30, 0);
  EXPECT_NEAR(mean_loss(weights_, &lora_, {turns.whole}, 1000), sum / 17.0,
              1e-5);
}

// The gradient of both turns is the sum of the gradients of each alone, and the
// loss too.
TEST_F(TrainingGolden, TwoTurnsAreTheSumOfEachAlone) {
  const TwoTurns turns;
  const LoraParameters together(weights_, lora_);
  const LoraParameters apart(weights_, lora_);
  samples_ = {turns.whole};
  const double whole = backward(together, 1000);
  samples_ = {turns.first, turns.second};
  EXPECT_NEAR(backward(apart, 1), whole, 1e-5);
  const double norm = together.gradients().norm().item<double>();
  EXPECT_GT(norm, 0.1);
  EXPECT_LE(together.gradients().sub(apart.gradients()).norm().item<double>(),
            1e-5 * norm);
}

// bfloat16 weights with float32 masters stay near the float32 gradients.
TEST_F(TrainingGolden, GradientsInBfloat16) {
  const LoraParameters exact(weights_, lora_);
  backward(exact, 1000);
  weights_ = model::load_weights(kFolder, at::kCPU, at::kBFloat16);
  const LoraParameters rounded(weights_, lora_);
  EXPECT_NEAR(backward(rounded, 1000), golden_["losses"][0].get<double>(),
              0.05);
  EXPECT_EQ(rounded.gradients().scalar_type(), at::kFloat);
  const double error =
      rounded.gradients().sub(exact.gradients()).norm().item<double>();
  EXPECT_LE(error, 0.05 * exact.gradients().norm().item<double>());
}

}  // namespace
}  // namespace selfalign::train
