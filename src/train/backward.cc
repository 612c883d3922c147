// SPDX-License-Identifier: Apache-2.0
#include "train/backward.h"

#include <ATen/CPUGeneratorImpl.h>
#include <malloc.h>

#include <cmath>
#include <limits>

#include "base/profile.h"
#include "train/attention.h"
#include "train/fused.h"
#include "train/loss.h"

namespace selfalign::train {
namespace {

// What a pass frees, the next takes again: given back to the system in between,
// each of its pages would have to be cleared and mapped anew.
void keep_freed_memory() {
  [[maybe_unused]] static const bool once =
      mallopt(M_MMAP_THRESHOLD, 32 << 20) != 0 &&  // the most that there is
      mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max()) != 0;
}

at::Tensor on(at::Device device, const std::vector<int64_t>& numbers) {
  return at::tensor(numbers, at::kLong).to(device);
}

at::Tensor run_pack(const model::Weights& weights, const model::Rope& rope,
                    const model::Lora* lora, const Pack& pack,
                    model::LoraDropout* dropout) {
  PackAttention attention(weights.config, pack.segments, pack.shared);
  const FusedOperators operators;
  return model::hidden_states(weights, rope, on(weights.device(), pack.ids),
                              on(weights.device(), pack.positions), attention,
                              {lora, dropout, &operators});
}

LossInput loss_input(const at::Tensor& hidden, const Pack& pack) {
  return {hidden.detach(), on(hidden.device(), pack.loss_rows),
          on(hidden.device(), pack.targets)};
}

at::Generator make_generator(at::Device device, uint64_t seed) {
  at::Generator generator =
      device.is_cpu() ? at::detail::createCPUGenerator()
                      : at::globalContext()
                            .getAcceleratorHooksInterface(device.type())
                            .getNewGenerator(device.index());
  generator.set_current_seed(seed);
  return generator;
}

}  // namespace

SeededDropout::SeededDropout(double p, uint64_t seed, at::Device device)
    : num_dropped_(std::lround(p * 65536.0)),
      generator_(make_generator(device, seed)) {}

at::Tensor SeededDropout::apply(const at::Tensor& x) {
  // Four draws of 16 bits from each random number: three times as fast as a
  // draw of its own for each element.
  const at::Tensor bits =
      at::empty({(x.numel() + 3) / 4}, x.options().dtype(at::kLong));
  bits.random_(std::numeric_limits<int64_t>::min(), std::nullopt, generator_);
  const at::Tensor mask = bits.view(at::kShort)
                              .narrow(0, 0, x.numel())
                              .ge(num_dropped_ - 32768)
                              .view(x.sizes())
                              .to(x.scalar_type())
                              .mul_(65536.0 / double(65536 - num_dropped_));
  return at::mul(x, mask);
}

at::Tensor SeededDropout::state() const { return generator_.get_state(); }

void SeededDropout::set_state(const at::Tensor& state) {
  generator_.set_state(state);
}

double backward_pack(const model::Rope& rope, const Parameters& parameters,
                     const Pack& pack, double scale,
                     model::LoraDropout* dropout, bool checkpointing) {
  const at::AutoGradMode with_graph(true);
  const ProfilePart whole("backward");
  keep_freed_memory();
  const model::Weights weights = parameters.weights();
  double loss = 0.0;
  at::Tensor head_gradient;
  const auto gradient_of = [&](const at::Tensor& hidden) {
    const ProfilePart part("head and loss");
    at::Tensor gradient;
    loss = nll_sum(weights, loss_input(hidden, pack), scale, &gradient,
                   weights.head.requires_grad() ? &head_gradient : nullptr);
    return gradient;
  };
  if (checkpointing) {
    PackAttention attention(weights.config, pack.segments, pack.shared);
    const FusedOperators operators;
    model::backward_by_layers(weights, rope, on(weights.device(), pack.ids),
                              on(weights.device(), pack.positions), attention,
                              {parameters.lora(), dropout, &operators},
                              gradient_of);
  } else {
    at::Tensor hidden;
    {
      const ProfilePart part("forward");
      hidden = run_pack(weights, rope, parameters.lora(), pack, dropout);
    }
    hidden.backward(gradient_of(hidden));
  }
  if (head_gradient.defined()) weights.head.backward(head_gradient);
  return loss;
}

double forward_pack(const model::Weights& weights, const model::Rope& rope,
                    const model::Lora* lora, const Pack& pack) {
  const at::NoGradGuard no_graph;
  return nll_sum(
      weights, loss_input(run_pack(weights, rope, lora, pack, nullptr), pack));
}

}  // namespace selfalign::train
