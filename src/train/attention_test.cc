// SPDX-License-Identifier: Apache-2.0
#include "train/attention.h"

#include <ATen/CPUGeneratorImpl.h>
#include <gtest/gtest.h>

#include <cmath>

namespace selfalign::train {
namespace {

struct Qkv {
  at::Tensor q, k, v;
  Qkv rows(int64_t begin, int64_t end) const {
    return {q.slice(0, begin, end), k.slice(0, begin, end),
            v.slice(0, begin, end)};
  }
};

Qkv random_qkv(int64_t tokens) {
  const auto draw = [&](int64_t heads) {
    at::Tensor x = at::empty({tokens, heads, 8}, at::kFloat);
    return x.normal_(0.0, 1.0, at::detail::createCPUGenerator(uint64_t(heads)));
  };
  return {draw(6), draw(2), draw(2).mul(0.5)};
}

Qkv join(const Qkv& a, const Qkv& b) {
  return {at::cat({a.q, b.q}), at::cat({a.k, b.k}), at::cat({a.v, b.v})};
}

formats::ModelConfig config_of(int64_t window = 0, double softcap = 0.0) {
  formats::ModelConfig config;
  config.head_dim = 8;
  config.windows = {window};
  config.attention_softcap = softcap;
  return config;
}

// Softmax of all scores at or before each query, written out.
at::Tensor plain(const Qkv& x, int64_t window = 0, double softcap = 0.0) {
  const int64_t tokens = x.q.size(0), group = x.q.size(1) / x.k.size(1);
  const at::Tensor k = x.k.repeat_interleave(group, 1).permute({1, 2, 0});
  const at::Tensor v = x.v.repeat_interleave(group, 1).transpose(0, 1);
  at::Tensor hidden = at::ones({tokens, tokens}, at::kFloat).triu(1);
  if (window > 0) {
    hidden.add_(at::ones({tokens, tokens}, at::kFloat).tril(-window));
  }
  at::Tensor scores = x.q.transpose(0, 1).bmm(k).div(std::sqrt(8.0));
  if (softcap > 0.0) scores = scores.div(softcap).tanh().mul(softcap);
  scores = scores.add(hidden.mul(-1e9));
  return at::softmax(scores, -1).bmm(v).transpose(0, 1);
}

// Texts of 150, `longest` and 7 tokens of which 20 are common.
void check_texts(int64_t longest, int64_t window, double softcap) {
  const int64_t shared = 20;
  const std::vector<int64_t> segments = {150, longest, 7};
  const Qkv all = random_qkv(150 + longest + 7);
  const formats::ModelConfig config = config_of(window, softcap);
  const at::Tensor out =
      PackAttention(config, segments, shared).attend(0, all.q, all.k, all.v);
  int64_t begin = 0;
  for (size_t i = 0; i < segments.size(); ++i) {
    const Qkv own = all.rows(begin, begin + segments[i]);
    const at::Tensor expected =
        i == 0 ? plain(own, window, softcap)
               : plain(join(all.rows(0, shared), own), window, softcap)
                     .slice(0, shared, shared + segments[i]);
    const at::Tensor error =
        out.slice(0, begin, begin + segments[i]).sub(expected).abs().max();
    EXPECT_LT(error.item<double>(), 1e-5) << "text " << i;
    begin += segments[i];
  }
}

// By products and, over 1,024 tokens, by the fused kernel too.
TEST(PackAttention, EachTextSeesItselfAndTheCommonStart) {
  check_texts(300, 0, 0.0);
  check_texts(1100, 0, 0.0);
}

// Windows that end within the common start, behind it and beyond the texts.
TEST(PackAttention, WindowsAndSoftCaps) {
  for (const int64_t window : {1, 16, 200, 2000}) {
    check_texts(300, window, 0.0);
    check_texts(1100, window, 2.0);
  }
}

TEST(PackAttention, NoCommonStart) {
  const Qkv all = random_qkv(60);
  const formats::ModelConfig config = config_of();
  const at::Tensor out =
      PackAttention(config, {25, 35}, 0).attend(0, all.q, all.k, all.v);
  EXPECT_LT(
      out.slice(0, 25).sub(plain(all.rows(25, 60))).abs().max().item<double>(),
      1e-5);
}

}  // namespace
}  // namespace selfalign::train
