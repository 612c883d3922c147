// SPDX-License-Identifier: Apache-2.0
// Conversations of a dataset as samples for tuning.
#pragma once

#include <vector>

#include "recipe/chat.h"
#include "stages/conversations.h"

namespace selfalign::local {

// stages::conversation_samples of the rows as read, with keys of what they
// hold.
std::vector<stages::TrainingSample> training_samples(
    const std::vector<stages::GivenConversation>& rows,
    const recipe::ChatPrompt& chat);

}  // namespace selfalign::local
