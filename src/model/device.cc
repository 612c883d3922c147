// SPDX-License-Identifier: Apache-2.0
#include "model/device.h"

#include <c10/core/CachingDeviceAllocator.h>
#include <dlfcn.h>
#include <torch/headeronly/version.h>

#include <filesystem>

#include "base/error.h"
#include "base/free_memory.h"

namespace selfalign::model {
namespace {

bool has_nvidia_driver() {
  return std::filesystem::exists("/proc/driver/nvidia/version") ||
         std::filesystem::exists("/dev/nvidiactl");
}

// Opens the CUDA half of libtorch, which registers its kernels on loading.
// Returns what went wrong, or nothing. Must come before the first use of
// at::hasCUDA(), whose answer is kept.
std::string open_cuda() {
  static const std::string problem = [] {
    if (dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL) == nullptr) {
      return std::string(dlerror());
    }
    return std::string(at::hasCUDA() ? "" : "the driver shows no GPU");
  }();
  return problem;
}

// A CPU with AMX has AVX512-BF16, too.
bool cpu_is_fast_in_bfloat16() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx512bf16") != 0;
}

}  // namespace

Compute choose_compute(const std::string& device, const std::string& dtype) {
  Compute compute;
  if (device == "cuda") {
    const std::string problem =
        has_nvidia_driver() ? open_cuda() : "no NVIDIA driver on this machine";
    if (!problem.empty()) {
      throw Error(ErrorKind::kInput,
                  selfalign::str("--device cuda: no GPU can be used: ", problem,
                                 "; use --device cpu"));
    }
    compute.device = at::Device(at::kCUDA, 0);
  } else if (device == "auto") {
    if (has_nvidia_driver() && open_cuda().empty()) {
      compute.device = at::Device(at::kCUDA, 0);
    }
  } else if (device != "cpu") {
    throw Error(ErrorKind::kUsage,
                selfalign::str("device: expected auto, cpu or cuda, "
                               "found '",
                               device, "'; use auto"));
  }
  if (dtype == "auto") {
    compute.dtype = compute.device.is_cuda() || cpu_is_fast_in_bfloat16()
                        ? at::kBFloat16
                        : at::kFloat;
  } else if (dtype == "bfloat16") {
    compute.dtype = at::kBFloat16;
  } else if (dtype != "float32") {
    throw Error(
        ErrorKind::kUsage,
        selfalign::str("dtype: expected auto, float32 or bfloat16, found '",
                       dtype, "'; use auto"));
  }
  return compute;
}

namespace {

// What the library keeps of what was given back, and takes from first; nothing
// where it has taken nothing yet.
uint64_t kept_memory(c10::DeviceAllocator& memory, c10::DeviceIndex index) {
  constexpr auto kAll =
      static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);
  try {
    const auto stats = memory.getDeviceStats(index);
    return static_cast<uint64_t>(stats.reserved_bytes[kAll].current -
                                 stats.allocated_bytes[kAll].current);
  } catch (const c10::Error&) {
    return 0;
  }
}

}  // namespace

int num_devices() { return static_cast<int>(at::getNumGPUs()); }

std::optional<uint64_t> free_memory(const at::Device& device) {
  if (device.is_cpu()) return selfalign::free_memory();
  try {
    at::globalContext().lazyInitDevice(device.type());
    auto* memory = c10::getDeviceAllocator(device.type());
    const c10::DeviceIndex index = device.has_index() ? device.index() : 0;
    return memory->getMemoryInfo(index).first + kept_memory(*memory, index);
  } catch (const c10::Error&) {
    return std::nullopt;
  }
}

std::string describe(const Compute& compute) {
  return selfalign::str(
      compute.device.is_cuda() ? "cuda" : "cpu",
      compute.dtype == at::kBFloat16 ? " bfloat16" : " float32", ", torch ",
      TORCH_VERSION_MAJOR, ".", TORCH_VERSION_MINOR, ".", TORCH_VERSION_PATCH);
}

}  // namespace selfalign::model
