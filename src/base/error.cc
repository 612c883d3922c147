// SPDX-License-Identifier: Apache-2.0
#include "base/error.h"

#include <cstdio>
#include <cstdlib>

#include "base/screen.h"

namespace selfalign {

void check_failed(const char* file, int line, const std::string& text) {
  std::fprintf(stderr, "%s:%d: check failed: %s\n", file, line,
               screen_text(text).c_str());
  std::fflush(stderr);
  std::abort();
}

}  // namespace selfalign
