// SPDX-License-Identifier: Apache-2.0
#include "base/forget_pages.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

namespace selfalign {

void forget_pages(std::string_view mapped) {
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<uintptr_t>(mapped.data());
  const uintptr_t first = (begin + page - 1) / page * page;
  const uintptr_t last = (begin + mapped.size()) / page * page;
  if (first >= last) return;
  ::madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
}

}  // namespace selfalign
