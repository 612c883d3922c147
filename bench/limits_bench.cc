// SPDX-License-Identifier: Apache-2.0
// What this processor can do at most, on all threads that the program uses:
// multiplications and additions in float32, bfloat16 and int8 on numbers that
// are in registers, and reading memory. A rate of decode_bench is a share of
// these. Prints "NAME VALUE UNIT" lines; a type without an instruction of its
// own is left out.
#include <immintrin.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <vector>

#include "engine/kernels.h"
#include "engine/parallel.h"

namespace selfalign {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kRuns = 20000;  // of the registers, between looks at the clock
constexpr int kRegisters = 24;

// Each returns the operations (a multiplication and an addition are two) that
// one call does.
using Work = double (*)();

#define SELFALIGN_LIMIT(name, flags, Register, zero, step, ops) \
  __attribute__((target(flags))) double name() {                \
    Register sums[kRegisters];                                  \
    _Pragma("GCC unroll 24") for (auto& sum : sums) sum = zero; \
    Register a = zero, b = zero;                                \
    asm volatile("" : "+x"(a), "+x"(b));                        \
    for (int run = 0; run < kRuns; ++run) {                     \
      _Pragma("GCC unroll 24") for (auto& sum : sums) {         \
        sum = step;                                             \
        asm volatile("" : "+x"(sum));                           \
      }                                                         \
    }                                                           \
    _Pragma("GCC unroll 24") for (auto& sum : sums) {           \
      asm volatile("" : : "x"(sum));                            \
    }                                                           \
    return double(ops) * kRegisters * kRuns;                    \
  }

SELFALIGN_LIMIT(float32_avx512, "avx512f", __m512, _mm512_setzero_ps(),
                _mm512_fmadd_ps(a, b, sum), 32)
SELFALIGN_LIMIT(bfloat16_avx512, "avx512f,avx512bf16", __m512,
                _mm512_setzero_ps(),
                _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b), 64)
SELFALIGN_LIMIT(int8_avx512, "avx512f,avx512vnni", __m512i,
                _mm512_setzero_si512(), _mm512_dpbusd_epi32(sum, a, b), 128)
SELFALIGN_LIMIT(float32_avx2, "avx2,fma", __m256, _mm256_setzero_ps(),
                _mm256_fmadd_ps(a, b, sum), 16)
#undef SELFALIGN_LIMIT

// Operations a second of all threads together.
double rate(double seconds, Work work) {
  const int threads = engine::num_threads();
  std::vector<double> done(size_t(threads), 0.0);
  const auto begin = Clock::now();
  const auto end = begin + std::chrono::duration_cast<Clock::duration>(
                               std::chrono::duration<double>(seconds));
  engine::parallel_for(threads, [&](int64_t thread) {
    while (Clock::now() < end) done[size_t(thread)] += work();
  });
  const std::chrono::duration<double> took = Clock::now() - begin;
  double sum = 0;
  for (const double one : done) sum += one;
  return sum / took.count();
}

// Bytes a second that all threads read of what no cache holds.
double read_rate(double seconds) {
  constexpr size_t kBytes = size_t{1} << 29;
  const int threads = engine::num_threads();
  const std::vector<uint64_t> memory(kBytes / sizeof(uint64_t), 1);
  const size_t share = memory.size() / size_t(threads);
  uint64_t total = 0;
  std::vector<uint64_t> sums(size_t(threads), 0);
  double bytes = 0;
  const auto begin = Clock::now();
  std::chrono::duration<double> took{};
  do {
    engine::parallel_for(threads, [&](int64_t thread) {
      const uint64_t* from = memory.data() + size_t(thread) * share;
      uint64_t parts[8] = {};
      for (size_t i = 0; i + 8 <= share; i += 8) {
        for (size_t j = 0; j < 8; ++j) parts[j] += from[i + j];
      }
      for (const uint64_t part : parts) sums[size_t(thread)] += part;
    });
    bytes += double(kBytes);
    took = Clock::now() - begin;
  } while (took.count() < seconds);
  for (const uint64_t sum : sums) total += sum;
  if (total == 0) std::puts("");  // so that the sums are made
  return bytes / took.count();
}

void print_limits(double seconds) {
  std::printf("# kernels %s, %d threads\n", engine::kernels().name,
              engine::num_threads());
  const auto print = [&](const char* name, Work work) {
    std::printf("%s %.1f GFLOP/s\n", name, rate(seconds, work) / 1e9);
  };
  const bool wide = __builtin_cpu_supports("avx512f") != 0;
  if (wide || __builtin_cpu_supports("fma")) {
    print("float32", wide ? float32_avx512 : float32_avx2);
  }
  if (__builtin_cpu_supports("avx512bf16")) print("bfloat16", bfloat16_avx512);
  if (__builtin_cpu_supports("avx512vnni")) print("int8", int8_avx512);
  std::printf("memory %.1f GB/s\n", read_rate(seconds) / 1e9);
}

}  // namespace
}  // namespace selfalign

int main() {
  selfalign::print_limits(1.0);
  return 0;
}
