// SPDX-License-Identifier: Apache-2.0
// How the local generator decodes.
#pragma once

namespace selfalign::engine {

struct EngineOptions {
  int num_slots = 64;        // rows decoded together
  int max_context = 4096;    // tokens of prefix, suffix and completion
  int prefill_chunk = 128;   // prompt tokens that a pass takes in
  bool share_prefix = true;  // false: the prefix is part of each row's own
                             // text (slow; the reference for tests)
  bool int8_prefix = false;  // keys and values of it in 8 bits; on a CPU
  bool show_progress = false;
};

}  // namespace selfalign::engine
