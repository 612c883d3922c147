// SPDX-License-Identifier: Apache-2.0
// Packed weights that engines share. Adapters of one base change few of its
// weights: what two engines pack from the same tensors is packed and held once.
// Nothing is held longer than the engines that use it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "engine/packed_linear.h"

namespace selfalign::engine {

template <typename T>
using SharedLinear = std::shared_ptr<const PackedLinear<T>>;

struct Packed {
  std::shared_ptr<const void> linear;
  int64_t bytes = 0;
};

// What was packed of these very tensors (the same objects, undefined ones too,
// in the same order) for the same `kind` on the same node, if both it and they
// are still alive; else what `pack` makes. Any thread; packing for a node is
// one at a time. Tensors must not be written to after that.
std::shared_ptr<const void> find_or_pack(const std::vector<at::Tensor>& tensors,
                                         int64_t kind,
                                         const std::function<Packed()>& pack);

// Bytes of all packed weights alive.
int64_t packed_bytes();

// While it lives, this thread packs for a node: memory is taken where it is
// first written to, and engines of different nodes share nothing.
class PackingNode {
 public:
  explicit PackingNode(int node);
  ~PackingNode();
  PackingNode(const PackingNode&) = delete;
  PackingNode& operator=(const PackingNode&) = delete;
};

// As the constructor of PackedLinear, and its gated(). `weights` are what they
// are known by; values(i) has the numbers of the i-th.
template <typename T, typename Values>
SharedLinear<T> shared_linear(const std::vector<at::Tensor>& weights,
                              const Values& values,
                              const std::vector<at::Tensor>& biases,
                              Rounding rounding) {
  std::vector<at::Tensor> tensors = weights;
  tensors.insert(tensors.end(), biases.begin(), biases.end());
  const auto pack = [&]() -> Packed {
    std::vector<at::Tensor> read;
    for (size_t i = 0; i < weights.size(); ++i) read.push_back(values(i));
    auto linear =
        std::make_shared<const PackedLinear<T>>(read, biases, rounding);
    const int64_t bytes = linear->bytes();
    return {std::move(linear), bytes};
  };
  const int64_t kind =
      static_cast<int64_t>(weights.size()) * 4 + static_cast<int64_t>(rounding);
  return std::static_pointer_cast<const PackedLinear<T>>(
      find_or_pack(tensors, kind, pack));
}

template <typename T, typename Values>
SharedLinear<T> shared_gated(const at::Tensor& gate, const at::Tensor& up,
                             const Values& values, const at::Tensor& gate_bias,
                             const at::Tensor& up_bias, Rounding rounding) {
  const auto pack = [&]() -> Packed {
    auto linear = std::make_shared<const PackedLinear<T>>(
        PackedLinear<T>::gated(values, gate_bias, up_bias, rounding));
    const int64_t bytes = linear->bytes();
    return {std::move(linear), bytes};
  };
  const int64_t kind = -1 - static_cast<int64_t>(rounding);
  return std::static_pointer_cast<const PackedLinear<T>>(
      find_or_pack({gate, up, gate_bias, up_bias}, kind, pack));
}

// A tensor's values, the same for all engines on it.
inline std::shared_ptr<const at::Tensor> shared_values(
    const at::Tensor& tensor, const std::function<at::Tensor()>& values) {
  constexpr int64_t kPlain = -100;
  const auto pack = [&]() -> Packed {
    auto held = std::make_shared<const at::Tensor>(values().contiguous());
    const int64_t bytes = held->nbytes();
    return {std::move(held), bytes};
  };
  return std::static_pointer_cast<const at::Tensor>(
      find_or_pack({tensor}, kPlain, pack));
}

}  // namespace selfalign::engine
