// Conversations of a dataset as samples for tuning.
#pragma once

#include <vector>

#include "stages/chat.h"
#include "stages/conversations.h"

namespace selfalign::cli {

// stages::conversation_samples of the rows as read, with keys of what they
// hold.
std::vector<stages::TrainingSample> training_samples(
    const std::vector<stages::GivenConversation>& rows,
    const stages::ChatPrompt& chat);

}  // namespace selfalign::cli
