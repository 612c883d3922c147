#include "engine/parallel.h"

#include <ATen/Parallel.h>
#include <omp.h>

#include <exception>

namespace selfalign::engine {

void parallel_for(int64_t count, const std::function<void(int64_t)>& work) {
  std::exception_ptr error;
  const int threads = num_threads();
#pragma omp parallel for schedule(dynamic, 1) \
    num_threads(threads) if (count > 1 && threads > 1)
  for (int64_t i = 0; i < count; ++i) {
    try {
      work(i);
    } catch (...) {
#pragma omp critical(selfalign_parallel_error)
      if (!error) error = std::current_exception();
    }
  }
  if (error) std::rethrow_exception(error);
}

int num_threads() { return at::get_num_threads(); }
int this_thread() { return omp_get_thread_num(); }

}  // namespace selfalign::engine
