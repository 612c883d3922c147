// SPDX-License-Identifier: Apache-2.0
// Training speed on a real model, of LoRA or of all weights: tokens per second
// of forward, backward and AdamW, on batches of the same shape as the peer's (8
// samples of 256 tokens, the first 100 of each without loss).
//
// usage: train_bench MODEL [auto|float32|bfloat16] [num_samples] [length]
//                    [prompt] [pack_tokens] [dropout] [lora|full|w8a8]
#include <chrono>
#include <cstdio>
#include <ctime>
#include <numeric>

#include "base/number.h"
#include "base/random.h"
#include "model/device.h"
#include "model/load_weights.h"
#include "train/backward.h"
#include "train/frozen_base.h"
#include "train/optimizer.h"
#include "train/packing.h"

namespace selfalign::train {
namespace {

struct BenchOptions {
  std::string model;
  std::string dtype = "auto";
  int num_samples = 8;
  int length = 256;
  int prompt = 100;
  int64_t pack_tokens = TrainOptions().pack_tokens;
  double dropout = 0.0;
  std::string method = "lora";  // w8a8: LoRA with a base in codes
  int num_steps = 5;
};

std::vector<Sample> random_samples(const BenchOptions& bench, int vocabulary) {
  std::vector<Sample> samples;
  for (int i = 0; i < bench.num_samples; ++i) {
    std::vector<int> tokens;
    for (int t = 0; t < bench.length; ++t) {
      tokens.push_back(
          int(draw_index(uint64_t(i), uint64_t(t), uint64_t(vocabulary))));
    }
    samples.push_back(text_sample(tokens, bench.prompt));
  }
  return samples;
}

std::vector<Pack> make_packs(const BenchOptions& bench, int vocabulary) {
  const std::vector<Sample> samples = random_samples(bench, vocabulary);
  std::vector<uint32_t> order(samples.size());
  std::iota(order.begin(), order.end(), 0u);
  return pack_samples(samples, order, 0, order.size(), bench.pack_tokens);
}

void run(const BenchOptions& bench) {
  const model::Compute compute = model::choose_compute("auto", bench.dtype);
  const model::Weights opened = model::open_weights(
      bench.model, compute.dtype,
      bench.method == "w8a8" ? model::Rounding::kW8a8 : model::Rounding::kNone);
  const model::Weights weights = bench.method == "full"
                                     ? model::held_weights(opened)
                                     : frozen_base(opened);
  const std::vector<Pack> packs =
      make_packs(bench, int(weights.config.vocab_size));
  const TrainOptions options;
  const std::unique_ptr<Parameters> made =
      bench.method == "full" ? std::unique_ptr<Parameters>(
                                   std::make_unique<WeightParameters>(weights))
                             : std::make_unique<LoraParameters>(
                                   weights, init_lora(weights.config, options));
  const Parameters& parameters = *made;
  AdamW adam(options, parameters.values(), parameters.num_decayed());
  const model::Rope rope =
      model::make_rope(weights.config, bench.length, compute.device);
  double targets = 0.0;
  for (const Pack& pack : packs) targets += double(pack.targets.size());
  std::printf("%s, %zu packs, %.0f response tokens\n",
              model::describe(compute).c_str(), packs.size(), targets);
  for (int step = 0; step < bench.num_steps; ++step) {
    const auto began = std::chrono::steady_clock::now();
    const std::clock_t cpu_began = std::clock();
    double loss = 0.0;
    for (const Pack& pack : packs) {
      SeededDropout dropout(bench.dropout, uint64_t(step), compute.device);
      loss += backward_pack(rope, parameters, pack, 1.0 / targets,
                            bench.dropout > 0.0 ? &dropout : nullptr);
    }
    clip_gradients(parameters.gradients(), options.max_grad_norm);
    adam.step(parameters.values(), parameters.gradients(), 4e-4);
    parameters.gradients().zero_();
    const std::chrono::duration<double> wall =
        std::chrono::steady_clock::now() - began;
    // On a busy machine the processor time says more than the clock.
    const double cpu_s = double(std::clock() - cpu_began) / CLOCKS_PER_SEC;
    const int tokens = bench.num_samples * bench.length;
    std::printf("step %d: %.1f tokens/s, %.1f per CPU second, loss %.6f\n",
                step, tokens / wall.count(), tokens / cpu_s, loss / targets);
    std::fflush(stdout);
  }
}

}  // namespace
}  // namespace selfalign::train

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr,
                 "usage: train_bench MODEL [dtype] [num_samples] [length] "
                 "[prompt] [pack_tokens] [dropout] "
                 "[lora|full|w8a8]\n");
    return 2;
  }
  selfalign::train::BenchOptions bench;
  bench.model = argv[1];
  if (argc > 2) bench.dtype = argv[2];
  const auto take = [&](int i, auto& setting) {
    using Number = std::remove_reference_t<decltype(setting)>;
    if (argc > i) setting = selfalign::parse_number<Number>(argv[i]).value();
  };
  take(3, bench.num_samples);
  take(4, bench.length);
  take(5, bench.prompt);
  take(6, bench.pack_tokens);
  take(7, bench.dropout);
  if (argc > 8) bench.method = argv[8];
  try {
    selfalign::train::run(bench);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
