// SPDX-License-Identifier: Apache-2.0
#include "engine/kernels.h"

#include <cstdlib>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/shown.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace selfalign::engine {

#if defined(__x86_64__)
extern const Kernels kKernelsAmx, kKernelsAvx512Bf16, kKernelsAvx512Vnni,
    kKernelsAvx512, kKernelsAvx2;
#endif
extern const Kernels kKernelsGeneric;

namespace {

#if defined(__x86_64__)
// Whether the processor has tiles (AMX) and products of bfloat16 and of 8 bits
// with them, the system keeps them for threads, and lets this process use them,
// which it has to be asked for once, for all threads, before any does. For a
// processor with AVX.
bool may_use_tiles() {
  constexpr unsigned kBf16 = 1u << 22, kTile = 1u << 24, kInt8 = 1u << 25;
  constexpr unsigned kAll = kBf16 | kTile | kInt8;
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0 || (d & kAll) != kAll) {
    return false;
  }
  constexpr unsigned kConfigData = 1u << 17, kTileData = 1u << 18;
  unsigned low = 0, high = 0;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  if ((low & kConfigData) == 0 || (low & kTileData) == 0) return false;
  constexpr long kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr long kFeature = 18;                // XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, kRequestPermission, kFeature) == 0;
}
#endif

std::vector<const Kernels*> sets_of_this_processor() {
  std::vector<const Kernels*> sets;
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool avx2 =
      __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                      __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vl");
  const bool vnni = avx512 && __builtin_cpu_supports("avx512vnni");
  const bool bf16 = vnni && __builtin_cpu_supports("avx512bf16");
  if (bf16 && may_use_tiles()) sets.push_back(&kKernelsAmx);
  // Intel's take two cycles for a dot product of bfloat16 and half a one for
  // the two products of floats that it stands for: 162 and 318 GFLOP/s.
  const bool floats_first = __builtin_cpu_is("intel");
  if (vnni && floats_first) sets.push_back(&kKernelsAvx512Vnni);
  if (bf16) sets.push_back(&kKernelsAvx512Bf16);
  if (vnni && !floats_first) sets.push_back(&kKernelsAvx512Vnni);
  if (avx512) sets.push_back(&kKernelsAvx512);
  if (avx2) sets.push_back(&kKernelsAvx2);
#endif
  sets.push_back(&kKernelsGeneric);
  return sets;
}

const std::vector<const Kernels*>& sets() {
  static const std::vector<const Kernels*> all = sets_of_this_processor();
  return all;
}

}  // namespace

const Kernels& kernel_set_named(const char* name) {
  std::string names;
  for (const Kernels* set : sets()) {
    if (std::string(name) == set->name) return *set;
    if (names.find(set->name) == std::string::npos) {
      names += (names.empty() ? "" : ", ") + std::string(set->name);
    }
  }
  throw Error(ErrorKind::kUsage,
              str("SELFALIGN_KERNELS: expected a set of kernels that this "
                  "processor has (",
                  names, "), found ", shown(name)));
}

const Kernels& kernels() {
  static const Kernels& chosen = [&]() -> const Kernels& {
    const char* wish = std::getenv("SELFALIGN_KERNELS");
    return wish == nullptr || *wish == '\0' ? *sets().front()
                                            : kernel_set_named(wish);
  }();
  return chosen;
}

int num_kernel_sets() { return static_cast<int>(sets().size()); }
const Kernels& kernel_set(int index) { return *sets().at(size_t(index)); }

}  // namespace selfalign::engine
