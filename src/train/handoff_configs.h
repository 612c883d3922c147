// SPDX-License-Identifier: Apache-2.0
// The same training in the words of other trainers, which lies beside a
// hand-off's own script.
#pragma once

#include <string>

#include "base/json.h"
#include "train/sample.h"
#include "train/train_options.h"

namespace selfalign::train {

// The file of samples that both read: input_ids, attention_mask, labels.
inline constexpr char kTokenized[] = "tokenized.jsonl";

// A sample as they have it, where a label is the token itself: what is to be
// predicted and not read next, the end of text within a conversation, has no
// place there and is left out.
Json tokenized_sample(const Sample& sample);

// `settings`: "training" of handoff.json; `base`: HF folder or a hub's name.
std::string axolotl_config(const std::string& base, const TrainOptions& options,
                           const Json& settings);
std::string llama_factory_config(const std::string& base,
                                 const TrainOptions& options,
                                 const Json& settings);

}  // namespace selfalign::train
