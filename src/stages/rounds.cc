// SPDX-License-Identifier: Apache-2.0
#include "stages/rounds.h"

#include <algorithm>

namespace selfalign::stages {

int64_t known_before(int64_t n) {
  constexpr int64_t kFirstRound = 64;
  int64_t last = 0;  // where the round before the one of n begins
  int64_t begin = 0;
  for (int64_t end = kFirstRound; end <= n;
       end += std::max(kFirstRound, end / 4)) {
    last = begin;
    begin = end;
  }
  return last;
}

}  // namespace selfalign::stages
