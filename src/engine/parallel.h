// Loops over OpenMP threads, the same threads that ATen uses. Apart, because
// only this one file is compiled with -fopenmp.
#pragma once

#include <cstdint>
#include <functional>

namespace selfalign::engine {

// Calls work(0) .. work(count - 1), in any order, on all threads; an idle
// thread takes the next one. The first exception is rethrown at the end.
void parallel_for(int64_t count, const std::function<void(int64_t)>& work);

// Threads that parallel_for uses, and which of them calls (0 outside).
int num_threads();
int this_thread();

}  // namespace selfalign::engine
