// SPDX-License-Identifier: Apache-2.0
// What a row of a run says: which filter speaks for its stage, the thought and
// the answer of its completion. Reads only.
#pragma once

#include <string>

#include "parse/thoughts.h"
#include "recipe/prompts.h"
#include "store/reader.h"

namespace selfalign::stages {

// The filter whose verdicts a stage went by; "" if it has none. While the stage
// is under way, the one of `profile` among those that judged its rows.
std::string filter_of(const store::Reader& store, const std::string& stage,
                      const std::string& profile);

// Thought and answer of a request's completion, taken apart as its stage does.
parse::ThoughtfulAnswer answer_of(const recipe::Prompts& prompts,
                                  const std::string& stage,
                                  const std::string& completion);

// Whether that answer came to its end: the model ended it, or it went on with
// another turn.
bool has_end(const parse::ThoughtfulAnswer& answer,
             const generate::Completion& completion);

// Error kUsage naming those there are unless `stage` has rows or a manifest.
void require_stage(const store::Reader& store, const std::string& stage);

}  // namespace selfalign::stages
