// SPDX-License-Identifier: Apache-2.0
// Keys and values of the ATen decoder in pages: no bit of a row depends on who
// else has pages, and what is held follows what is in use. What a GPU runs is
// run here on CPU tensors.
#include "engine/aten_decoder.h"

#include <ATen/TensorIndexing.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "base/error.h"
#include "engine/generation.h"
#include "engine/testing.h"

namespace selfalign::engine {
namespace {

constexpr int kVocab = 260;
constexpr int64_t kChunk = 64;
constexpr DecoderOptions kOptions{
    .num_slots = 6, .prefill_chunk = kChunk, .max_context = 2000};

std::vector<int> random_tokens(int64_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<int> tokens(static_cast<size_t>(count));
  for (int& t : tokens) t = static_cast<int>(random() % 256U);
  return tokens;
}

// With a window over more than a page in one layer, and a cap of scores.
std::shared_ptr<model::Weights> windowed_weights(at::ScalarType dtype) {
  auto weights = tiny_weights({}, dtype);
  weights->config.windows = {0, 290};
  weights->config.attention_softcap = 20.0;
  return weights;
}

std::unique_ptr<Sequence> read(Decoder& decoder, const Sequence* prefix,
                               const std::vector<int>& tokens, int64_t count,
                               bool shared) {
  auto sequence =
      decoder.new_sequence(static_cast<int64_t>(tokens.size()), shared, prefix);
  for (int64_t t = 0; t < count; t += kChunk) {
    decoder.forward(
        {{sequence.get(), &tokens[size_t(t)], std::min(kChunk, count - t)}},
        {});
  }
  return sequence;
}

// A text on a prefix: its first tokens are read, the others said one by one.
struct Text {
  Text(Decoder& decoder, const Sequence* prefix, std::vector<int> all,
       int64_t num_read)
      : tokens(std::move(all)),
        sequence(read(decoder, prefix, tokens, num_read, false)) {}
  Span next() const {
    return {sequence.get(), &tokens.at(size_t(sequence->length())), 1};
  }
  std::vector<int> tokens;
  std::unique_ptr<Sequence> sequence;
};

// Logits of one of the texts, of one pass over all of them after the other.
std::vector<float> stepped(Decoder& decoder,
                           const std::vector<const Text*>& texts, int64_t which,
                           int steps) {
  std::vector<float> all;
  for (int i = 0; i < steps; ++i) {
    std::vector<Span> spans;
    spans.reserve(texts.size());
    for (const Text* text : texts) spans.push_back(text->next());
    const float* logits = decoder.forward(spans, {which});
    all.insert(all.end(), logits, logits + kVocab);
  }
  return all;
}

// A row of 251 tokens goes on over the border of its first page, in company.
class AtenPages : public testing::TestWithParam<std::tuple<bool, int>> {
 protected:
  static constexpr int kSteps = 12;

  AtenPages() {
    const auto dtype = std::get<0>(GetParam()) ? at::kBFloat16 : at::kFloat;
    weights_ = windowed_weights(dtype);
    prefix_tokens_ = random_tokens(std::get<1>(GetParam()), 1);
  }
  std::unique_ptr<Decoder> decoder() const {
    return make_aten_decoder(weights_, kOptions);
  }
  std::unique_ptr<Sequence> prefix(Decoder& decoder) const {
    if (prefix_tokens_.empty()) return nullptr;
    return read(decoder, nullptr, prefix_tokens_,
                static_cast<int64_t>(prefix_tokens_.size()), true);
  }
  // The row, which takes its slot after `before` others, of these lengths.
  std::vector<float> among(Decoder& decoder, const std::vector<int>& lengths,
                           size_t before) const {
    const auto shared = prefix(decoder);
    std::vector<std::unique_ptr<Text>> texts;
    const auto add = [&](int length, unsigned seed) {
      texts.push_back(std::make_unique<Text>(
          decoder, shared.get(), random_tokens(length + kSteps, seed), length));
    };
    for (size_t i = 0; i <= lengths.size(); ++i) {
      if (i == before) add(251, 7);
      if (i < lengths.size()) add(lengths[i], 20 + unsigned(i));
    }
    std::vector<const Text*> order;  // the last comes first
    for (const auto& text : texts) order.insert(order.begin(), text.get());
    return stepped(decoder, order,
                   static_cast<int64_t>(texts.size() - 1 - before), kSteps);
  }

  const OneThread one_thread_;
  std::shared_ptr<model::Weights> weights_;
  std::vector<int> prefix_tokens_;
};

TEST_P(AtenPages, BitsDependOnARowsOwnTextAlone) {
  const auto once = decoder();
  const std::vector<float> alone = among(*once, {}, 0);
  // Beside short ones, beside longer ones in more slabs, in other slots.
  EXPECT_EQ(among(*decoder(), {3, 1, 200}, 2), alone);
  EXPECT_EQ(among(*decoder(), {700, 1, 1100, 300}, 3), alone);
  EXPECT_EQ(among(*decoder(), {520, 600, 700, 1100, 260}, 5), alone);
  EXPECT_NE(among(*decoder(), {700}, 1), std::vector<float>(alone.size()));
  // Where others were, which have gone.
  const auto used = decoder();
  among(*used, {1300, 900, 40, 600, 300}, 1);
  EXPECT_EQ(among(*used, {5, 800}, 1), alone);
  EXPECT_EQ(among(*used, {}, 0), alone);
}

// What is no number in a row, and in the pages that it leaves, stays there.
TEST_P(AtenPages, WhatIsNoNumberStaysInItsRow) {
  const std::vector<float> alone = among(*decoder(), {}, 0);
  weights_->embedding = weights_->embedding.clone();
  weights_->embedding[258].fill_(std::numeric_limits<float>::quiet_NaN());
  const auto used = decoder();
  {
    const auto shared = prefix(*used);
    const std::vector<int> broken(300, 258);
    const Text bad(*used, shared.get(), broken, 280);
    const Text good(*used, shared.get(), random_tokens(251 + kSteps, 7), 251);
    EXPECT_EQ(stepped(*used, {&bad, &good}, 1, kSteps), alone);
    EXPECT_TRUE(std::isnan(stepped(*used, {&bad}, 0, 1)[0]));
  }
  EXPECT_EQ(among(*used, {}, 0), alone);
}

TEST_P(AtenPages, EqualsTheModel) {
  if (std::get<0>(GetParam())) return;  // bfloat16 differs by its own rounding
  const auto decoder = this->decoder();
  const auto shared = prefix(*decoder);
  const std::vector<int> tokens = random_tokens(530, 3);
  std::vector<int> whole = prefix_tokens_;
  whole.insert(whole.end(), tokens.begin(), tokens.end());
  const at::Tensor want = reference_logits(*weights_, whole);
  const auto own = decoder->new_sequence(600, false, shared.get());
  const auto expect_last = [&](const float* logits) {
    const at::Tensor row =
        want[static_cast<int64_t>(prefix_tokens_.size()) + own->length() - 1];
    const at::Tensor got =
        at::from_blob(const_cast<float*>(logits), {kVocab}, at::kFloat);
    EXPECT_LT((got - row).abs().max().item<float>(), 2e-4f) << own->length();
  };
  // Chunks across borders of pages, then steps across the second one.
  for (int64_t t = 0; t < 500; t += 60) {
    const int64_t count = std::min<int64_t>(60, 500 - t);
    expect_last(decoder->forward({{own.get(), &tokens[size_t(t)], count}},
                                 {count - 1}));
  }
  for (size_t t = 500; t < tokens.size(); ++t) {
    expect_last(decoder->forward({{own.get(), &tokens[t], 1}}, {0}));
  }
}

INSTANTIATE_TEST_SUITE_P(
    TypesAndPrefixes, AtenPages,
    testing::Combine(testing::Bool(), testing::Values(0, 300)),
    [](const auto& one) {
      return std::string(std::get<0>(one.param) ? "Bfloat16" : "Float32") +
             (std::get<1>(one.param) > 0 ? "OnAPrefix" : "Alone");
    });

// The whole loop: rows of all lengths that come and go, one at a time, in other
// order and beside each other.
void expect_rows_the_same(const std::shared_ptr<model::Weights>& weights) {
  const OneThread one_thread;
  const ByteTokenizer tokenizer;
  const EngineOptions options{
      .num_slots = 6, .max_context = 1000, .prefill_chunk = 64};
  const auto run = [&](std::vector<std::vector<generate::Request>> calls) {
    const auto decoder = make_aten_decoder(
        weights, {.num_slots = 6, .prefill_chunk = 64, .max_context = 1000});
    PrefixCache prefixes(*decoder, options.max_context);
    SequenceCache kept(options.max_context);
    Completions completions;
    for (std::vector<generate::Request>& requests : calls) {
      size_t next = 0;
      Generation({*decoder, prefixes, kept, tokenizer, options, kVocab})
          .run(
              [&]() -> std::optional<generate::Request> {
                if (next == requests.size()) return std::nullopt;
                return requests[next++];
              },
              [&](const generate::Completion& c) { completions[c.key] = c; });
    }
    return completions;
  };
  std::vector<generate::Request> requests;
  std::vector<std::vector<generate::Request>> alone;
  for (int i = 0; i < 14; ++i) {
    generate::Request request;
    request.key = 50 + uint64_t(i);
    request.prefix = std::make_shared<const std::string>(280, 'p');
    request.suffix = std::string(size_t(i * i * i % 500), char('a' + i));
    request.sampling.max_new_tokens = 6 + i * 5 % 19;
    request.sampling.ban_eos = true;
    requests.push_back(request);
    alone.push_back({request});
  }
  const Completions together = run({requests});
  std::reverse(requests.begin(), requests.end());
  for (const Completions& other : {run({requests}), run(alone)}) {
    ASSERT_EQ(other.size(), together.size());
    for (const auto& [key, c] : together) {
      EXPECT_EQ(other.at(key).text, c.text) << key;
      EXPECT_EQ(other.at(key).logprob, c.logprob) << key;
    }
  }
}

TEST(AtenDecoder, RowsAreTheSameInAnyOrderAndCompany) {
  expect_rows_the_same(tiny_weights());
}
TEST(AtenDecoder, RowsWithAWindowAreTheSameInAnyOrderAndCompany) {
  expect_rows_the_same(windowed_weights(at::kFloat));
}

TEST(AtenDecoder, WhatIsHeldFollowsWhatIsInUse) {
  const OneThread one_thread;
  const auto weights = tiny_weights();
  const auto decoder = make_aten_decoder(
      weights, {.num_slots = 40, .prefill_chunk = 64, .max_context = 100000});
  // 2 layers, 2 heads of 8, keys and values in float32.
  constexpr int64_t kPage = kAtenPageKeys * 2 * 2 * 2 * 8 * 4;
  EXPECT_EQ(decoder->cache_bytes(), 0);
  const std::vector<int> tokens = random_tokens(700, 1);
  {
    std::vector<std::unique_ptr<Text>> texts;
    texts.reserve(16);
    for (int i = 0; i < 16; ++i) {
      texts.push_back(std::make_unique<Text>(*decoder, nullptr, tokens, 200));
    }
    EXPECT_EQ(decoder->cache_bytes(), kAtenSlabPages * kPage);
    texts.push_back(std::make_unique<Text>(*decoder, nullptr, tokens, 600));
    EXPECT_EQ(decoder->cache_bytes(), 2 * kAtenSlabPages * kPage);
    for (int i = 0; i < 15; ++i) {
      texts.push_back(std::make_unique<Text>(*decoder, nullptr, tokens, 600));
    }
    EXPECT_EQ(decoder->cache_bytes(), 4 * kAtenSlabPages * kPage);
    // What is cut off makes room for others.
    for (int i = 16; i < 32; ++i) texts[size_t(i)]->sequence->truncate(10);
    for (int i = 0; i < 8; ++i) {
      texts.push_back(std::make_unique<Text>(*decoder, nullptr, tokens, 600));
    }
    EXPECT_EQ(decoder->cache_bytes(), 4 * kAtenSlabPages * kPage);
  }
  EXPECT_EQ(decoder->cache_bytes(), kAtenSlabPages * kPage);
  auto prefix = read(*decoder, nullptr, tokens, 700, true);
  EXPECT_EQ(decoder->cache_bytes(), (kAtenSlabPages + 3) * kPage);
  prefix.reset();
  EXPECT_EQ(decoder->cache_bytes(), kAtenSlabPages * kPage);
}

TEST(AtenDecoder, LackOfMemoryIsToldWithFigures) {
  const auto weights = tiny_weights();
  uint64_t left = uint64_t{140} << 20;
  const auto decoder =
      make_aten_decoder(weights, {.num_slots = 40, .max_context = 100000},
                        [&left] { return std::optional(left); });
  const std::vector<int> tokens = random_tokens(300, 1);
  const Text fits(*decoder, nullptr, tokens, 100);
  left = uint64_t{100} << 20;
  const Text too(*decoder, nullptr, tokens, 100);  // a page is free
  try {
    read(*decoder, nullptr, tokens, 100, true);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kResources);
    EXPECT_EQ(std::string(error.what()),
              "key-value cache: expected 128 MiB more of memory on the device, "
              "found 100 MiB free; use fewer slots (num_slots) or a shorter "
              "context (max_context), or end what else computes there");
  }
}

}  // namespace
}  // namespace selfalign::engine
