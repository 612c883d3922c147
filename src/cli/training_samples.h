// Conversations of a dataset as samples for tuning.
#pragma once

#include <vector>

#include "stages/chat.h"
#include "stages/conversations.h"

namespace selfalign::cli {

// One sample for each conversation that has no problem: what a chat under
// `chat` would show the model before every answer, and the answers.
std::vector<stages::TrainingSample> training_samples(
    const std::vector<stages::GivenConversation>& rows,
    const stages::ChatPrompt& chat);

}  // namespace selfalign::cli
