// SPDX-License-Identifier: Apache-2.0
// Both decoders against model::hidden_states, and the promise that no bit of a
// row depends on its neighbours.
#include "engine/cpu_decoder.h"

#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <random>

#include "base/error.h"
#include "base/testing.h"
#include "engine/aten_decoder.h"
#include "engine/kernels_testing.h"
#include "engine/packed_cache.h"
#include "engine/prefix_cache.h"
#include "engine/testing.h"

namespace selfalign::engine {
namespace {

std::vector<int> random_tokens(int64_t count, unsigned seed, int vocab = 260) {
  std::mt19937 random(seed);
  std::vector<int> tokens(count);
  for (int& t : tokens) t = static_cast<int>(random() % unsigned(vocab));
  return tokens;
}

constexpr DecoderOptions kSmall{
    .num_slots = 4, .prefill_chunk = 32, .max_context = 300};

// Appends tokens[length of sequence .. count).
void fill(Decoder& decoder, Sequence& sequence, const std::vector<int>& tokens,
          size_t count) {
  fill_sequence(decoder, sequence, tokens, int64_t(count), 32);
}

std::unique_ptr<Sequence> filled(Decoder& decoder,
                                 const std::vector<int>& tokens,
                                 const Sequence* before = nullptr) {
  auto sequence = decoder.new_sequence(300, true, before);
  fill(decoder, *sequence, tokens, tokens.size());
  return sequence;
}
float largest_difference(const float* got, const at::Tensor& want) {
  const at::Tensor g =
      at::from_blob(const_cast<float*>(got), want.sizes(), at::kFloat);
  return (g - want).abs().max().item<float>();
}

// A prefix (maybe none), prompts prefilled in chunks, then decoding: every
// wanted row equals the whole text's.
void check_against_reference(Decoder& decoder, const model::Weights& weights,
                             int64_t prefix_length, float tolerance) {
  const std::vector<int> prefix = random_tokens(prefix_length, 1);
  const auto shared = filled(decoder, prefix);
  std::vector<std::vector<int>> texts;
  std::vector<std::unique_ptr<Sequence>> owns;
  std::vector<at::Tensor> wants;
  for (int64_t length : {3, 70, 1}) {
    texts.push_back(random_tokens(length + 2, unsigned(length)));
    std::vector<int> whole = prefix;
    whole.insert(whole.end(), texts.back().begin(), texts.back().end());
    wants.push_back(reference_logits(weights, whole));
    owns.push_back(decoder.new_sequence(
        100, false, prefix_length ? shared.get() : nullptr));
    for (int64_t done = 0; done < length; done += 32) {
      const int64_t count = std::min<int64_t>(32, length - done);
      const float* logits = decoder.forward(
          {{owns.back().get(), &texts.back()[done], count}}, {count - 1});
      EXPECT_LT(largest_difference(
                    logits, wants.back()[prefix_length + done + count - 1]),
                tolerance)
          << length << " at " << done;
    }
  }
  for (int step = 0; step < 2; ++step) {
    std::vector<Span> spans;
    for (size_t i = 0; i < texts.size(); ++i) {
      spans.push_back({owns[i].get(), &texts[i][owns[i]->length()], 1});
    }
    const float* logits = decoder.forward(spans, {0, 1, 2});
    for (size_t i = 0; i < texts.size(); ++i) {
      EXPECT_LT(
          largest_difference(logits + i * 260,
                             wants[i][prefix_length + owns[i]->length() - 1]),
          tolerance)
          << "text " << i << ", step " << step;
    }
  }
}

TEST(CpuDecoder, EqualsTheModel) {
  for (const Kernels& set : tested_kernels()) {
    SCOPED_TRACE(set.name);
    const auto weights = tiny_weights();
    for (int64_t prefix : {0, 1, 64, 150}) {
      const auto decoder = make_cpu_decoder(*weights, kSmall, set);
      check_against_reference(*decoder, *weights, prefix, 2e-4f);
    }
  }
}

TEST(CpuDecoder, EqualsTheModelInBfloat16) {
  for (const Kernels& set : tested_kernels()) {
    SCOPED_TRACE(set.name);
    // Rounded weights in float32 are the reference: the decoder's activations
    // are rounded at products only.
    auto rounded = tiny_weights({}, at::kBFloat16);
    auto wide = tiny_weights();
    *wide = *rounded;
    const auto widen = [](at::Tensor& t) {
      if (t.defined()) t = t.to(at::kFloat);
    };
    for (model::LayerWeights& w : wide->layers) {
      for (at::Tensor* t : {&w.input_norm.weight, &w.q, &w.k, &w.v, &w.o,
                            &w.mlp_norm.weight, &w.gate, &w.up, &w.down}) {
        widen(*t);
      }
    }
    widen(wide->embedding);
    widen(wide->head);
    widen(wide->final_norm.weight);
    const auto decoder = make_cpu_decoder(*rounded, kSmall, set);
    check_against_reference(*decoder, *wide, 100, 0.35f);
  }
}

// What codes stand for, as a model in memory.
std::shared_ptr<model::Weights> values_of_codes(const model::Weights& weights,
                                                model::Rounding rounding) {
  auto values = std::make_shared<model::Weights>(weights);
  const auto round = [&](at::Tensor& matrix, model::Rounding as) {
    matrix = model::RoundedMatrix(matrix, as).values(weights.dtype());
  };
  for (model::LayerWeights& layer : values->layers) {
    for (const auto of : model::kProjections) round(layer.*of, rounding);
  }
  round(values->head, model::Rounding::kInt8);
  return values;
}

// Codes are computed with to the bit as the weights they stand for, on all
// kernels, in both types, in odd shapes, with few and many rows.
TEST(CpuDecoder, CodesGiveTheBitsOfWhatTheyStandFor) {
  using model::Rounding;
  for (const TinyShape& shape :
       {TinyShape{.hidden = 48, .intermediate = 100},
        TinyShape{.hidden = 40, .heads = 5, .kv_heads = 5, .head_dim = 20}}) {
    for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
      for (const Rounding rounding : {Rounding::kInt8, Rounding::kInt4}) {
        const auto weights = tiny_weights(shape, dtype);
        const auto values = values_of_codes(*weights, rounding);
        weights->rounding = rounding;
        for (const Kernels& set : tested_kernels()) {
          SCOPED_TRACE(str(set.name, model::describe(rounding)));
          const auto codes = make_cpu_decoder(*weights, kSmall, set);
          const auto plain = make_cpu_decoder(*values, kSmall, set);
          const std::vector<int> tokens = random_tokens(40, 5);
          const auto mine = codes->new_sequence(60, false, nullptr);
          const auto theirs = plain->new_sequence(60, false, nullptr);
          for (const int64_t count : {20, 1, 3}) {
            const int64_t from = mine->length();
            const float* got = codes->forward(
                {{mine.get(), &tokens[from], count}}, {count - 1});
            const float* want = plain->forward(
                {{theirs.get(), &tokens[from], count}}, {count - 1});
            for (int64_t i = 0; i < shape.vocab; ++i) {
              ASSERT_EQ(got[i], want[i]) << count << ' ' << i;
            }
          }
        }
      }
    }
  }
}

// Products of whole numbers are near the model's, in all shapes, both types and
// on all kernels; a tied embedding is read from the output.
TEST(CpuDecoder, WholeNumbersAreNearTheModel) {
  for (const TinyShape& shape : {TinyShape{}, TinyShape{.hidden = 40,
                                              .heads = 5,
                                              .kv_heads = 5,
                                              .head_dim = 20,
                                              .intermediate = 100}}) {
    for (const Kernels& set : tested_kernels()) {
      SCOPED_TRACE(set.name);
      const auto weights = tiny_weights(shape);
      // Random weights make much of the error of each layer.
      const float near =
          0.15f * reference_logits(*weights, random_tokens(70, 1))
                      .abs()
                      .max()
                      .item<float>();
      const auto whole = std::make_shared<model::Weights>(*weights);
      whole->rounding = model::Rounding::kW8a8;
      check_against_reference(*make_cpu_decoder(*whole, kSmall, set), *weights,
                              70, near);
      whole->config.tied_embeddings = true;
      whole->head = whole->embedding;
      weights->head = weights->embedding;
      check_against_reference(*make_cpu_decoder(*whole, kSmall, set), *weights,
                              70, near);
    }
  }
}

constexpr DecoderOptions kSmallInt8{.num_slots = 4,
                                    .prefill_chunk = 32,
                                    .max_context = 300,
                                    .int8_prefix = true};

TEST(CpuDecoder, APrefixInWholeNumbersIsNearTheModel) {
  for (const TinyShape& shape :
       {TinyShape{},
        TinyShape{.hidden = 40, .heads = 5, .kv_heads = 5, .head_dim = 20}}) {
    for (const Kernels& set : tested_kernels()) {
      SCOPED_TRACE(set.name);
      const auto weights = tiny_weights(shape);
      const float near =
          0.05f * reference_logits(*weights, random_tokens(70, 1))
                      .abs()
                      .max()
                      .item<float>();
      check_against_reference(*make_cpu_decoder(*weights, kSmallInt8, set),
                              *weights, 150, near);
    }
  }
}

// Logits behind the first `count` of some tokens, some of which were a prefix
// before and were seen as one.
std::vector<float> logits_behind(Decoder& decoder, int64_t count,
                                 int64_t num_before) {
  const std::vector<int> tokens = random_tokens(200, 3);
  const auto prefix = filled(
      decoder, {tokens.begin(), tokens.begin() + std::max(count, num_before)});
  const auto own = decoder.new_sequence(10, false, prefix.get());
  const int next = 7;
  if (num_before > 0) {
    decoder.forward({{own.get(), &next, 1}}, {0});
    own->truncate(0);
    prefix->truncate(std::min<int64_t>(count, 70));
    while (prefix->length() < count) {
      decoder.forward({{prefix.get(), &tokens[prefix->length()], 1}}, {});
    }
  }
  const float* logits = decoder.forward({{own.get(), &next, 1}}, {0});
  return {logits, logits + 260};
}

TEST(CpuDecoder, WholeNumbersAreOfFullPagesOfAPrefix) {
  const auto weights = tiny_weights();
  const auto full = make_cpu_decoder(*weights, kSmall);
  const auto int8 = make_cpu_decoder(*weights, kSmallInt8);
  EXPECT_EQ(logits_behind(*int8, 63, 0), logits_behind(*full, 63, 0));
  EXPECT_NE(logits_behind(*int8, 64, 0), logits_behind(*full, 64, 0));
  // In passes of any size, and after some of it was forgotten.
  const std::vector<float> fresh = logits_behind(*int8, 190, 0);
  EXPECT_EQ(logits_behind(*int8, 190, 150), fresh);
  EXPECT_EQ(logits_behind(*int8, 190, 200), fresh);
}

// While it lives, the process is given hardly any memory.
class NoMoreMemory {
 public:
  NoMoreMemory() {
    EXPECT_EQ(getrlimit(RLIMIT_AS, &before_), 0);
    std::ifstream statm("/proc/self/statm");
    rlim_t pages = 0;
    statm >> pages;
    rlimit now = before_;
    now.rlim_cur = pages * rlim_t(getpagesize()) + (rlim_t{8} << 20);
    EXPECT_EQ(setrlimit(RLIMIT_AS, &now), 0);
  }
  ~NoMoreMemory() { setrlimit(RLIMIT_AS, &before_); }
  NoMoreMemory(const NoMoreMemory&) = delete;
  NoMoreMemory& operator=(const NoMoreMemory&) = delete;

 private:
  rlimit before_;
};

// Of two texts one has a page, and there is no memory for the other's: neither
// holds a token afterwards, so that a prefix is never one of keys that nobody
// computed.
TEST(CpuDecoder, APassThatFailsAppendsNothing) {
  const auto weights = tiny_weights(
      {.num_layers = 8, .heads = 8, .kv_heads = 8, .head_dim = 64});
  const DecoderOptions options{
      .num_slots = 4, .prefill_chunk = 128, .max_context = 2000};
  const auto decoder = make_cpu_decoder(*weights, options);
  // 32 MiB are 16 pages of 2 MiB.
  const std::vector<int> tokens = random_tokens(int64_t{15} * 64, 1);
  const auto all = decoder->new_sequence(2000, false, nullptr);
  fill_sequence(*decoder, *all, tokens, int64_t{15} * 64, 128);
  const auto shared = decoder->new_sequence(100, true, nullptr);
  const auto other = decoder->new_sequence(100, true, nullptr);
  const std::vector<Span> spans = {{shared.get(), tokens.data(), 30},
                                   {other.get(), tokens.data(), 40}};
  {
    const NoMoreMemory no_more;
    EXPECT_EQ(kind_of([&] { decoder->forward(spans, {}); }),
              ErrorKind::kResources);
  }
  EXPECT_EQ(shared->length(), 0);
  EXPECT_EQ(other->length(), 0);
  const float* got = decoder->forward(spans, {29});
  const std::vector<float> logits(got, got + 260);
  const auto alone = make_cpu_decoder(*weights, options);
  const auto own = alone->new_sequence(100, false, nullptr);
  const float* want = alone->forward({{own.get(), tokens.data(), 30}}, {29});
  EXPECT_TRUE(std::equal(logits.begin(), logits.end(), want));
}

std::vector<int> joined(std::vector<int> first, const std::vector<int>& rest) {
  first.insert(first.end(), rest.begin(), rest.end());
  return first;
}

// Logits of the last of some tokens behind a prefix that is one sequence.
std::vector<float> logits_alone(const model::Weights& weights,
                                const DecoderOptions& options,
                                const std::vector<int>& prefix,
                                const std::vector<int>& own) {
  const auto decoder = make_cpu_decoder(weights, options);
  const auto shared = filled(*decoder, prefix);
  const auto row = decoder->new_sequence(100, false, shared.get());
  const auto count = static_cast<int64_t>(own.size());
  const float* logits =
      decoder->forward({{row.get(), own.data(), count}}, {count - 1});
  return {logits, logits + 260};
}

// Texts behind several prefixes in one pass, of which two begin with the same
// 128 tokens that are held once: each as behind its own prefix alone.
void check_tree(const DecoderOptions& options, at::ScalarType dtype,
                int64_t window) {
  SCOPED_TRACE(str(options.int8_prefix, at::toString(dtype), window));
  const auto weights = tiny_weights({}, dtype);
  if (window > 0) weights->config.windows = {0, window};
  const auto decoder = make_cpu_decoder(*weights, options);
  const std::vector<int> common = random_tokens(128, 1);
  const auto trunk = filled(*decoder, common);
  std::vector<std::vector<int>> prefixes;
  std::vector<std::unique_ptr<Sequence>> shared;
  for (const int64_t length : {30, 70, 1}) {
    const std::vector<int> rest = random_tokens(length, unsigned(length));
    shared.push_back(
        filled(*decoder, rest, length > 1 ? trunk.get() : nullptr));
    prefixes.push_back(length > 1 ? joined(common, rest) : rest);
  }
  std::vector<std::vector<int>> texts;
  std::vector<std::unique_ptr<Sequence>> rows;
  std::vector<Span> spans;
  std::vector<int64_t> wanted;
  for (size_t i = 0; i < 8; ++i) {
    texts.push_back(random_tokens(int64_t(1 + i), unsigned(50 + i)));
    const Sequence* before = i < 6 ? shared[i / 2].get() : nullptr;
    rows.push_back(
        decoder->new_sequence(100, false, i == 6 ? trunk.get() : before));
    wanted.push_back(int64_t((i + 1) * (i + 2) / 2 - 1));
  }
  for (size_t i = 0; i < 8; ++i) {
    spans.push_back({rows[i].get(), texts[i].data(), int64_t(1 + i)});
  }
  const float* all = decoder->forward(spans, wanted);
  const std::vector<float> logits(all, all + size_t{8} * 260);
  for (size_t i = 0; i < 8; ++i) {
    SCOPED_TRACE(i);
    std::vector<int> prefix;
    if (i < 7) prefix = i == 6 ? common : prefixes[i / 2];
    EXPECT_EQ(std::vector<float>(&logits[i * 260], &logits[i * 260] + 260),
              logits_alone(*weights, options, prefix, texts[i]));
  }
}

TEST(CpuDecoder, PrefixesThatBeginAlikeAreATree) {
  DecoderOptions options = kSmall;
  options.num_slots = 8;
  for (const bool int8 : {false, true}) {
    options.int8_prefix = int8;
    check_tree(options, at::kFloat, 0);
    check_tree(options, at::kBFloat16, 0);
    check_tree(options, at::kFloat, 90);
  }
}

// As it was filled to the end, half, or not at all.
TEST(CpuDecoder, APrefixThatIsCutIsTheSame) {
  const auto weights = tiny_weights();
  const std::vector<int> tokens = random_tokens(150, 3), own = {5, 6};
  for (const DecoderOptions& options : {kSmall, kSmallInt8}) {
    const std::vector<float> want =
        logits_alone(*weights, options, tokens, own);
    for (const size_t count : {0, 40, 64, 100, 150}) {
      SCOPED_TRACE(count);
      const auto decoder = make_cpu_decoder(*weights, options);
      const auto rest = decoder->new_sequence(150, true, nullptr);
      fill(*decoder, *rest, tokens, count);
      const auto row = decoder->new_sequence(10, false, rest.get());
      const auto middle = rest->cut_start(128);
      const auto first = middle->cut_start(64);
      EXPECT_EQ(row->offset(), int64_t(count));
      EXPECT_EQ(first->length(), std::min<int64_t>(int64_t(count), 64));
      EXPECT_EQ(rest->before(), middle.get());
      EXPECT_EQ(middle->before(), first.get());
      fill(*decoder, *first, tokens, 64);
      fill(*decoder, *middle, {tokens.begin() + 64, tokens.end()}, 64);
      fill(*decoder, *rest, {tokens.begin() + 128, tokens.end()}, 22);
      const float* logits = decoder->forward({{row.get(), own.data(), 2}}, {1});
      EXPECT_EQ(std::vector<float>(logits, logits + 260), want);
    }
  }
}

// Where embedding and output are one, it is held once: a token's row is read
// from the packed output.
TEST(CpuDecoder, ATiedEmbeddingIsTheOutputsRows) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const auto weights = tiny_weights({}, dtype);
    const auto decoder = make_cpu_decoder(*weights, kSmall);
    const int64_t before = packed_bytes();
    weights->config.tied_embeddings = true;
    const auto tied = make_cpu_decoder(*weights, kSmall);
    EXPECT_EQ(packed_bytes(), before);
    const std::vector<int> tokens = random_tokens(20, 7);
    const auto one = decoder->new_sequence(30, false, nullptr);
    const auto other = tied->new_sequence(30, false, nullptr);
    const float* want = decoder->forward({{one.get(), &tokens[0], 20}}, {19});
    const float* got = tied->forward({{other.get(), &tokens[0], 20}}, {19});
    EXPECT_TRUE(std::equal(got, got + 260, want));
  }
}

// Sizes that are no multiples of a block, a group of one, and one key head for
// more query heads than a task has rows.
TEST(CpuDecoder, OddShapesEqualTheModel) {
  for (const TinyShape& shape :
       {TinyShape{.hidden = 40, .heads = 5, .kv_heads = 5, .head_dim = 20},
        TinyShape{.hidden = 24, .heads = 50, .kv_heads = 1, .head_dim = 6}}) {
    const auto weights = tiny_weights(shape);
    check_against_reference(*make_cpu_decoder(*weights, kSmall), *weights, 70,
                            5e-4f);
  }
}

TEST(CpuDecoder, ProjectionBiasesAreAdded) {
  const auto weights = tiny_weights();
  for (model::LayerWeights& w : weights->layers) {
    w.q_bias = at::full({48}, 0.3);
    w.k_bias = at::arange(16, at::kFloat) * 0.1;
    w.v_bias = at::full({16}, -0.2);
    w.o_bias = at::full({48}, 0.1);
  }
  check_against_reference(*make_cpu_decoder(*weights, kSmall), *weights, 20,
                          2e-4f);
}

TEST(AtenDecoder, EqualsTheModel) {
  const OneThread one_thread;
  const auto weights = tiny_weights();
  for (int64_t prefix : {0, 1, 150}) {
    check_against_reference(*make_aten_decoder(weights, kSmall), *weights,
                            prefix, 2e-4f);
  }
}

// Texts that decode step by step on a shared prefix.
class Steps {
 public:
  Steps(Decoder& decoder, const std::vector<int>& prefix, int vocab)
      : decoder_(decoder), vocab_(vocab), shared_(filled(decoder, prefix)) {}

  void add(const std::vector<int>& text) {
    texts_.push_back(text);
    owns_.push_back(decoder_.new_sequence(100, false, shared_.get()));
    logits_.emplace_back();
  }
  // Feeds `count` tokens of each text of `order` in one pass.
  void step(const std::vector<size_t>& order, int64_t count) {
    std::vector<Span> spans;
    std::vector<int64_t> wanted;
    for (size_t i : order) {
      spans.push_back({owns_[i].get(), &texts_[i][owns_[i]->length()], count});
      wanted.push_back(int64_t(spans.size()) * count - 1);
    }
    const float* logits = decoder_.forward(spans, wanted);
    for (size_t i : order) {
      logits_[i].assign(logits, logits + vocab_);
      logits += vocab_;
    }
  }
  const std::vector<float>& logits(size_t i) const { return logits_[i]; }

 private:
  Decoder& decoder_;
  int vocab_;
  std::unique_ptr<Sequence> shared_;
  std::vector<std::vector<int>> texts_;
  std::vector<std::unique_ptr<Sequence>> owns_;
  std::vector<std::vector<float>> logits_;
};

// Layers of SmolLM2's shape, fewer of them.
constexpr TinyShape kReal{.num_layers = 2,
                          .hidden = 576,
                          .heads = 9,
                          .kv_heads = 3,
                          .head_dim = 64,
                          .intermediate = 1536,
                          .vocab = 1000};

void check_neighbours(at::ScalarType dtype, model::Rounding rounding,
                      bool int8_prefix) {
  SCOPED_TRACE(
      str(at::toString(dtype), model::describe(rounding), int8_prefix));
  const DecoderOptions options{.num_slots = 16,
                               .prefill_chunk = 64,
                               .max_context = 300,
                               .int8_prefix = int8_prefix};
  const auto weights = tiny_weights(kReal, dtype);
  weights->rounding = rounding;
  const auto prefix = random_tokens(100, 5, 1000);
  const auto text = random_tokens(12, 6, 1000);
  const auto decoder = make_cpu_decoder(*weights, options);
  // Alone, token by token.
  Steps alone(*decoder, prefix, 1000);
  alone.add(text);
  for (int i = 0; i < 10; ++i) alone.step({0}, 1);
  // Among others, in changing order and company, prompts in chunks.
  Steps among(*decoder, prefix, 1000);
  for (unsigned i = 0; i < 9; ++i) {
    among.add(i == 4 ? text : random_tokens(12, 10 + i, 1000));
  }
  among.step({3, 4, 5}, 4);
  among.step({0, 1, 2, 6, 7, 8}, 4);
  std::vector<size_t> order = {0, 1, 2, 3, 4, 5, 6, 7, 8};
  std::mt19937 random(1);
  for (int i = 0; i < 6; ++i) {
    std::shuffle(order.begin(), order.end(), random);
    among.step(order, 1);
  }
  EXPECT_EQ(alone.logits(0), among.logits(4));
  EXPECT_NE(alone.logits(0), among.logits(3));
}

TEST(CpuDecoder, BitsDoNotDependOnNeighbours) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    check_neighbours(dtype, model::Rounding::kNone, false);
    check_neighbours(dtype, model::Rounding::kNone, true);
    check_neighbours(dtype, model::Rounding::kW8a8, false);
  }
}

TEST(AtenDecoder, BitsDoNotDependOnNeighbours) {
  const OneThread one_thread;
  constexpr DecoderOptions kOptions{
      .num_slots = 16, .prefill_chunk = 64, .max_context = 300};
  for (at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const auto weights = tiny_weights(kReal, dtype);
    const auto prefix = random_tokens(100, 5, 1000);
    const auto text = random_tokens(12, 6, 1000);
    const auto run = [&](size_t place, size_t neighbours) {
      const auto decoder = make_aten_decoder(weights, kOptions);
      Steps steps(*decoder, prefix, 1000);
      std::vector<size_t> order;
      for (size_t i = 0; i <= neighbours; ++i) {
        steps.add(i == place ? text
                             : random_tokens(12, 10 + unsigned(i), 1000));
        order.push_back(neighbours - i);
      }
      for (size_t i : order) steps.step({i}, 4);
      for (int i = 0; i < 5; ++i) steps.step(order, 1);
      return steps.logits(place);
    };
    const std::vector<float> alone = run(0, 0);
    EXPECT_EQ(run(3, 8), alone) << at::toString(dtype);
    EXPECT_EQ(run(15, 15), alone) << at::toString(dtype);
  }
}

}  // namespace
}  // namespace selfalign::engine
