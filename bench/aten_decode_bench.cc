// SPDX-License-Identifier: Apache-2.0
// Decoding as on other devices than a CPU, run on CPU tensors: passes a second
// of all slots, each with a text of its own, and the memory that its keys and
// values take. The figures are good for comparing two versions of that path,
// not for what a GPU does. Random weights in the shape of SmolLM2-135M's
// layers. usage: aten_decode_bench [SLOTS CONTEXT LENGTH STEPS LAYERS DTYPE]
#include <ATen/TensorOperators.h>

#include <chrono>
#include <cstdio>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/number.h"
#include "base/random.h"
#include "engine/aten_decoder.h"

namespace selfalign {
namespace {

constexpr uint64_t kSeed = 2023;
constexpr int64_t kChunk = 128;

struct Job {
  int slots = 64, context = 4096, length = 150, steps = 16, layers = 6;
  at::ScalarType dtype = at::kFloat;
};

std::shared_ptr<model::Weights> random_weights(const Job& job) {
  constexpr int64_t kHidden = 576, kHeads = 9, kKvHeads = 3, kDim = 64;
  constexpr int64_t kInner = 1536, kVocab = 2048;
  auto weights = std::make_shared<model::Weights>();
  formats::ModelConfig& c = weights->config;
  c.num_layers = job.layers;
  c.hidden_size = kHidden;
  c.num_heads = kHeads;
  c.num_kv_heads = kKvHeads;
  c.head_dim = c.rotary_dim = kDim;
  c.intermediate_size = kInner;
  c.vocab_size = kVocab;
  c.max_positions = job.context;
  c.norm_eps = 1e-5;
  c.rope.theta = 10000;
  const auto matrix = [&](int64_t rows, int64_t columns) {
    return (at::randn({rows, columns}) * 0.04).to(job.dtype);
  };
  const at::Tensor ones = at::ones({kHidden}).to(job.dtype);
  for (int i = 0; i < job.layers; ++i) {
    model::LayerWeights w;
    w.input_norm.weight = w.mlp_norm.weight = ones;
    w.q = matrix(kHeads * kDim, kHidden);
    w.k = matrix(kKvHeads * kDim, kHidden);
    w.v = matrix(kKvHeads * kDim, kHidden);
    w.o = matrix(kHidden, kHeads * kDim);
    w.gate = matrix(kInner, kHidden);
    w.up = matrix(kInner, kHidden);
    w.down = matrix(kHidden, kInner);
    weights->layers.push_back(w);
  }
  weights->embedding = weights->head = matrix(kVocab, kHidden);
  weights->final_norm.weight = ones;
  return weights;
}

// MiB that the process has in memory.
double resident() {
  const std::string text = read_file("/proc/self/statm", 4096);
  const size_t begin = text.find(' ') + 1;
  const auto pages = parse_number<int64_t>(
      std::string_view(text).substr(begin, text.find(' ', begin) - begin));
  return double(pages.value()) * 4096 / (1 << 20);
}

void run(const Job& job) {
  using Clock = std::chrono::steady_clock;
  const auto weights = random_weights(job);
  const double before = resident();
  const auto decoder =
      engine::make_aten_decoder(weights, {.num_slots = job.slots,
                                          .prefill_chunk = kChunk,
                                          .max_context = job.context});
  std::vector<int> tokens(static_cast<size_t>(job.length));
  for (size_t t = 0; t < tokens.size(); ++t) {
    tokens[t] = static_cast<int>(draw_index(kSeed, t, 2048));
  }
  std::vector<std::unique_ptr<engine::Sequence>> owns;
  const auto prefill = Clock::now();
  for (int i = 0; i < job.slots; ++i) {
    owns.push_back(decoder->new_sequence(job.context, false, nullptr));
    for (int64_t t = 0; t < job.length; t += kChunk) {
      const engine::Span span{owns.back().get(), &tokens[size_t(t)],
                              std::min(kChunk, job.length - t)};
      decoder->forward({span}, {});
    }
  }
  const auto begin = Clock::now();
  for (int step = 0; step < job.steps; ++step) {
    std::vector<engine::Span> spans;
    std::vector<int64_t> wanted;
    for (const auto& own : owns) {
      wanted.push_back(static_cast<int64_t>(spans.size()));
      spans.push_back({own.get(), tokens.data(), 1});
    }
    decoder->forward(spans, wanted);
  }
  const std::chrono::duration<double> read = begin - prefill;
  const std::chrono::duration<double> said = Clock::now() - begin;
  std::printf(
      "%d slots, context %d, %d tokens each: prefill %7.0f tok/s, decode "
      "%7.1f tok/s (%.1f ms a pass), memory %.0f "
      "MiB above the weights, %.0f of them keys and values\n",
      job.slots, job.context, job.length, job.slots * job.length / read.count(),
      job.slots * job.steps / said.count(), said.count() / job.steps * 1e3,
      resident() - before, double(decoder->cache_bytes()) / (1 << 20));
}

}  // namespace
}  // namespace selfalign

int main(int argc, char** argv) {
  const auto number = [&](int i, int fallback) {
    return argc > i ? selfalign::parse_number<int>(argv[i]).value() : fallback;
  };
  const bool narrow = argc > 6 && std::string(argv[6]) == "bfloat16";
  try {
    selfalign::run({.slots = number(1, 64),
                    .context = number(2, 4096),
                    .length = number(3, 150),
                    .steps = number(4, 16),
                    .layers = number(5, 6),
                    .dtype = narrow ? at::kBFloat16 : at::kFloat});
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
