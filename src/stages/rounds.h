// SPDX-License-Identifier: Apache-2.0
// What a request may know of those before it. Requests are planned ahead while
// others are under way, so what a request depends on must be a function of its
// number alone, or it would change with slots and timing. Requests go in
// rounds, of 64 at first and a quarter of all before from there on: one may
// know what came of all rounds before the last, so that a whole round is under
// way while the next is planned, and no slot waits.
#pragma once

#include <cstdint>

namespace selfalign::stages {

// Request n may depend on what requests 0 .. known_before(n) - 1 brought, and
// must wait until those are accepted (CompletionPlan::needs).
int64_t known_before(int64_t n);

}  // namespace selfalign::stages
