// Conversations of a dataset as samples for tuning.
#pragma once

#include <string>
#include <vector>

#include "formats/datasets.h"
#include "stages/chat.h"
#include "stages/workbench.h"

namespace selfalign::cli {

// One sample per conversation, with the loss on every assistant turn: the
// prompt is what a chat would show the model before it. A system turn at the
// start stands in place of the chat's prompt. Error kInput, naming `where` and
// the row, unless user and assistant take turns and the assistant has the last
// word.
std::vector<stages::TrainingSample> training_samples(
    const std::vector<formats::Conversation>& conversations,
    const stages::ChatPrompt& chat, const std::string& where);

}  // namespace selfalign::cli
