// SPDX-License-Identifier: Apache-2.0
// Training by a command of the user's, on whatever machines it reaches.
#pragma once

#include <string>
#include <vector>

#include "model/weights.h"
#include "train/trainer.h"

namespace selfalign::local {

// Error kUsage where transformers could not load the base: a GGUF file.
void require_handoff_base(const std::string& base);

// Writes options.folder/handoff (train/handoff.h), runs `command` in it unless
// a result is there, shows its metrics as they come and keeps them as those of
// the own trainer, and adopts the result. Error kInterrupted on an interrupt,
// after the command was asked to end and given two minutes for its checkpoint,
// and where it ends with status 75, by which schedulers say that it is to be
// started again; kFailed, with the last lines it wrote, where it ends with
// another; and what train::adopt_result says.
train::TrainReport train_by_command(const std::string& command,
                                    const std::string& base,
                                    const model::Weights& weights,
                                    const std::vector<train::Sample>& samples,
                                    const train::TrainOptions& options);

// The same with what somebody made by hand, in the folder `made`, in place of a
// command.
train::TrainReport adopt_by_hand(const std::string& made,
                                 const std::string& base,
                                 const model::Weights& weights,
                                 const std::vector<train::Sample>& samples,
                                 const train::TrainOptions& options);

}  // namespace selfalign::local
