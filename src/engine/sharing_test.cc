// SPDX-License-Identifier: Apache-2.0
// Several engines in one process: what they share, and that they do not
// disturb each other.
#include <gtest/gtest.h>

#include <thread>

#include "engine/engine.h"
#include "engine/packed_cache.h"
#include "engine/testing.h"

namespace selfalign::engine {
namespace {

using generate::Request;

std::unique_ptr<generate::Generator> engine_with(
    const std::shared_ptr<const model::Weights>& weights) {
  return make_engine(weights, std::make_shared<ByteTokenizer>(), kTinyOptions);
}

// Adds to o, or to v, of every layer.
std::shared_ptr<model::Weights> adapted(const model::Weights& base,
                                        model::LoraPair model::LoraLayer::*pair,
                                        const std::string& digest) {
  model::Lora lora;
  lora.layers.resize(base.layers.size());
  for (size_t i = 0; i < lora.layers.size(); ++i) {
    const bool is_o = pair == &model::LoraLayer::o;
    const at::Tensor& w = is_o ? base.layers[i].o : base.layers[i].v;
    lora.layers[i].*
        pair = {at::full({1, w.size(1)}, 0.1), at::full({w.size(0), 1}, 0.3)};
  }
  auto weights = std::make_shared<model::Weights>(base);
  model::merge_lora(*weights, lora);
  weights->digest = digest;
  return weights;
}

// The same values in tensors of their own.
std::shared_ptr<model::Weights> apart(const model::Weights& weights) {
  auto copy = std::make_shared<model::Weights>(weights);
  const auto clone = [](at::Tensor& t) {
    if (t.defined()) t = t.clone();
  };
  for (model::LayerWeights& w : copy->layers) {
    for (at::Tensor* t : {&w.q, &w.k, &w.v, &w.o, &w.gate, &w.up, &w.down}) {
      clone(*t);
    }
  }
  clone(copy->head);
  return copy;
}

std::vector<Request> some_requests() {
  std::vector<Request> requests;
  for (uint64_t key = 0; key < 12; ++key) {
    Request request;
    request.key = key;
    request.prefix = std::make_shared<const std::string>("Say something: ");
    request.suffix = std::string(3 + key * 5, 'w');
    request.sampling.top_p = 0.9;
    request.sampling.max_new_tokens = 20;
    requests.push_back(request);
  }
  return requests;
}

void expect_same(const Completions& a, const Completions& b) {
  for (const auto& [key, c] : a) {
    EXPECT_EQ(c.text, b.at(key).text) << key;
    EXPECT_EQ(c.logprob, b.at(key).logprob) << key;
  }
}

TEST(Sharing, AnAdapterCostsWhatItChanges) {
  const auto base = tiny_weights();
  ASSERT_EQ(packed_bytes(), 0);
  auto first = engine_with(base);
  const int64_t one = packed_bytes();
  EXPECT_GT(one, 0);
  const auto again = engine_with(base);
  EXPECT_EQ(packed_bytes(), one);
  const auto o = engine_with(adapted(*base, &model::LoraLayer::o, "o"));
  // o is [48, 48] in two layers; q, k and v are packed together: [80, 48].
  EXPECT_EQ(packed_bytes() - one, 2 * 48 * 48 * 4);
  const auto v = engine_with(adapted(*base, &model::LoraLayer::v, "v"));
  EXPECT_EQ(packed_bytes() - one, 2 * (48 + 80) * 48 * 4);
  first.reset();  // the others still use what it packed
  EXPECT_EQ(packed_bytes() - one, 2 * (48 + 80) * 48 * 4);
}

TEST(Sharing, ChangesNoBit) {
  const auto base = tiny_weights();
  const auto requests = some_requests();
  const auto held = engine_with(base);
  const auto adapter = adapted(*base, &model::LoraLayer::o, "o");
  const int64_t before = packed_bytes();
  const Completions shared = run(*engine_with(adapter), requests);
  expect_same(shared, run(*engine_with(apart(*adapter)), requests));
  EXPECT_EQ(packed_bytes(), before);
  EXPECT_NE(shared.at(3).logprob, run(*held, requests).at(3).logprob);
}

// New weights may lie where old ones lay, whose packed copies still live.
TEST(Sharing, WeightsThatAreGoneAreNotMistakenForNewOnes) {
  const auto requests = some_requests();
  std::vector<std::unique_ptr<generate::Generator>> held;
  auto base = tiny_weights();
  const auto adapter = apart(*adapted(*base, &model::LoraLayer::o, "o"));
  const Completions want = run(*engine_with(adapter), requests);
  for (int round = 0; round < 5; ++round) {
    held.push_back(engine_with(apart(*base)));
    auto other = apart(*adapter);
    held.push_back(engine_with(other));
    expect_same(want, run(*held.back(), requests));
  }
}

TEST(Sharing, EnginesWorkInThreadsBesideEachOther) {
  const auto base = tiny_weights();
  std::vector<std::shared_ptr<const model::Weights>> weights = {
      base, adapted(*base, &model::LoraLayer::o, "o"),
      adapted(*base, &model::LoraLayer::v, "v")};
  const auto requests = some_requests();
  const std::vector<generate::ScoreRequest> scored = {
      {.context = std::string(50, 's'), .continuations = {" a", " bcd"}}};
  const int before = at::get_num_threads();
  for (const int threads : {1, 4}) {
    at::set_num_threads(threads);
    std::vector<Completions> want;
    std::vector<std::vector<float>> scores;
    for (const auto& one : weights) {
      want.push_back(run(*engine_with(one), requests));
      scores.push_back(
          engine_with(one)->score(scored)[0].continuations[1].logprobs);
    }
    std::vector<std::thread> running;
    for (size_t i = 0; i < weights.size(); ++i) {
      running.emplace_back([&, i] {
        const auto engine = engine_with(weights[i]);
        for (int round = 0; round < 4; ++round) {
          expect_same(want[i], run(*engine, requests));
          EXPECT_EQ(engine->score(scored)[0].continuations[1].logprobs,
                    scores[i]);
        }
      });
    }
    for (std::thread& thread : running) thread.join();
  }
  at::set_num_threads(before);
}

}  // namespace
}  // namespace selfalign::engine
