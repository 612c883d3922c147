// SPDX-License-Identifier: Apache-2.0
// Several engines as one generator: each on processors, and with memory, of
// its own, as on a machine with several NUMA nodes or GPUs.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "engine/engine_place.h"
#include "generate/generator.h"

namespace selfalign::engine {

// Makes engine i, on a thread of place i; each is made, called and destroyed
// there alone, all at the same time.
using MakeEngine =
    std::function<std::unique_ptr<generate::Generator>(size_t i)>;

// A request goes to the engine that has the fewest; so all are to be alike (one
// fingerprint, SELFALIGN_CHECK), and then no bit of a row depends on how many
// there are. All that the callers of a generator give it (next, done, on_text,
// a callback of steps) is called from the thread that calls generate(), one at
// a time. score() shares its requests among the engines that are free. Threads
// and errors are otherwise those of one engine (engine.h).
std::unique_ptr<generate::Generator> make_engine_team(
    const std::vector<EnginePlace>& places, const MakeEngine& make);

}  // namespace selfalign::engine
