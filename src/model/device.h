// SPDX-License-Identifier: Apache-2.0
// Which device and number type to compute with, and the CUDA library, which is
// opened at run time when an NVIDIA driver is there.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "model/aten.h"

namespace selfalign::model {

struct Compute {
  at::Device device = at::kCPU;
  at::ScalarType dtype = at::kFloat;
};

// device: "auto", "cpu", "cuda"; dtype: "auto", "float32", "bfloat16". On a
// CPU auto means what it is fast in: bfloat16 with AMX or AVX512-BF16, else
// float32. Error kUsage for other words, kInput for cuda where there is none.
Compute choose_compute(const std::string& device, const std::string& dtype);

// GPUs that "cuda" stands for: indices 0 to that. None before choose_compute()
// opened the library.
int num_devices();

// Bytes that can still be taken on the device: what the system has, or the
// device and the library's own reserve there. Nothing where it does not say.
std::optional<uint64_t> free_memory(const at::Device& device);

// "cpu float32, torch 2.11.0": part of a generator's fingerprint.
std::string describe(const Compute& compute);

}  // namespace selfalign::model
