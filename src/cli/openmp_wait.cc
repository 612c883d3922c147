// SPDX-License-Identifier: Apache-2.0
// Idle OpenMP threads sleep instead of spinning. libgomp's default spins for
// some milliseconds at every barrier; on a machine that does anything else at
// the same time that made decoding ten times slower (77 s against 8 s).
//
// libgomp reads its environment when it is loaded, before any code of ours
// could set it, except this: functions of .preinit_array run before the
// constructors of the shared libraries. This one starts the same program again
// with the setting added. It may use system calls only: the C library's own
// state (environ, malloc) is not made yet.
#include <unistd.h>

#include <cstddef>

namespace {

constexpr size_t kMaxVariables = 4096;
char setting[] = "OMP_WAIT_POLICY=passive";
char* environment[kMaxVariables + 2];
char program[4096];  // zeros

bool begins_with(const char* text, const char* start) {
  while (*start != '\0') {
    if (*text++ != *start++) return false;
  }
  return true;
}

void wait_passively(int /*argc*/, char** argv, char** variables) {
  size_t count = 0;
  for (; variables[count] != nullptr; ++count) {
    if (count == kMaxVariables ||
        begins_with(variables[count], "OMP_WAIT_POLICY=") ||
        begins_with(variables[count], "GOMP_SPINCOUNT=")) {
      return;  // the person decided, or this is the second start
    }
    environment[count] = variables[count];
  }
  environment[count] = setting;
  // By its own name, which is what ps shows.
  const ssize_t length =
      readlink("/proc/self/exe", program, sizeof(program) - 1);
  if (length > 0) execve(program, argv, environment);
  // Without /proc, or with the file gone: go on as it is.
}

__attribute__((section(".preinit_array"),
               used)) void (*const hook)(int, char**, char**) = wait_passively;

}  // namespace
