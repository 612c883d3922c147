// SPDX-License-Identifier: Apache-2.0
// One pack forward and backward: adds its share to the gradients.
#pragma once

#include <cstdint>

#include "model/transformer.h"
#include "train/optimizer.h"
#include "train/packing.h"

namespace selfalign::train {

// Dropout whose masks are a pure function of (seed, number of the call). Every
// projection draws its own, as PEFT's modules do, those that read the same
// input too.
class SeededDropout : public model::LoraDropout {
 public:
  // p: probability of dropping, in [0, 1), rounded to a multiple of 2^-16. What
  // is kept is scaled by 1/(1-p).
  SeededDropout(double p, uint64_t seed, at::Device device);
  at::Tensor apply(const at::Tensor& x) override;
  at::Tensor state() const override;
  void set_state(const at::Tensor& state) override;

 private:
  int64_t num_dropped_;  // of 65536
  at::Generator generator_;
};

// Adds d(scale * sum of the pack's losses) / d(values) to the gradients of
// `parameters`. `dropout` may be null. Returns the sum of the losses, which is
// not finite if the computation broke down.
// With `checkpointing` the same to the bit, a third slower, in the memory of
// one layer's graph (Chen et al. 2016, "Training deep nets with sublinear
// memory cost").
double backward_pack(const model::Rope& rope, const Parameters& parameters,
                     const Pack& pack, double scale,
                     model::LoraDropout* dropout, bool checkpointing = false);

// Sum of the pack's losses alone; `lora` may be null.
double forward_pack(const model::Weights& weights, const model::Rope& rope,
                    const model::Lora* lora, const Pack& pack);

}  // namespace selfalign::train
