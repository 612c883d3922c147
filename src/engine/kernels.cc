// SPDX-License-Identifier: Apache-2.0
#include "engine/kernels.h"

#include <cstdlib>
#include <string_view>
#include <vector>

namespace selfalign::engine {

#if defined(__x86_64__)
extern const Kernels kKernelsAvx512Bf16, kKernelsAvx512Vnni, kKernelsAvx512,
    kKernelsAvx2;
#endif
extern const Kernels kKernelsGeneric;

namespace {

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
  if (vnni && __builtin_cpu_supports("avx512bf16")) {
    sets.push_back(&kKernelsAvx512Bf16);
  }
  if (vnni) sets.push_back(&kKernelsAvx512Vnni);
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

const Kernels* choose() {
  const char* wish = std::getenv("SELFALIGN_KERNELS");
  for (const Kernels* set : sets()) {
    if (wish != nullptr && std::string_view(wish) == set->name) return set;
  }
  return sets().front();
}

}  // namespace

const Kernels& kernels() {
  static const Kernels* chosen = choose();
  return *chosen;
}

int num_kernel_sets() { return static_cast<int>(sets().size()); }
const Kernels& kernel_set(int index) { return *sets().at(size_t(index)); }

}  // namespace selfalign::engine
