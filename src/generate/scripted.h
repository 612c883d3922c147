// SPDX-License-Identifier: Apache-2.0
// A generator that needs no model: its text is a function of the request. For
// tests of everything above it, and for a fast look at what a recipe would do.
#pragma once

#include <functional>
#include <string>

#include "generate/generator.h"

namespace selfalign::generate {

struct ScriptedOptions {
  // Text for a request; default: words drawn from the request's key.
  std::function<std::string(const Request&)> script;
  int num_slots = 4;  // requests in flight; completions come in an order
                      // that depends on the keys, not on arrival
  std::string fingerprint = "scripted";
  // Ends the process with SIGKILL when that many completions were pushed;
  // 0 never does.
  int kill_after = 0;
  // Counts the calls of score(), and has scores asked for together, as behind a
  // server; null: neither.
  int* num_score_calls = nullptr;
};

// Tokens are words here. Sampling: stop strings and max_new_tokens hold. A step
// is one completion, streamed word by word. A prompt of token ids is seen by
// the script as such; ids are below kScriptedVocab, and their scores are other
// ones than those of the words.
constexpr int kScriptedVocab = 50000;
std::unique_ptr<Generator> make_scripted_generator(ScriptedOptions options);

}  // namespace selfalign::generate
