// SPDX-License-Identifier: Apache-2.0
// Members that other servers follow and this one does not: clients send them
// all the same, mostly with the value with which they change nothing.
#pragma once

#include "serve/members.h"

namespace selfalign::serve {

// Takes every such member of OpenAI's API and of the extensions of vLLM and
// llama.cpp; ApiError 400 that names the first with a value that would change
// the answer. These are for both kinds of completions; the other three for one.
void take_neutral_members(Members& members);
void take_neutral_completion_members(Members& members);
void take_neutral_chat_members(Members& members);
void take_neutral_tokenize_members(Members& members);

}  // namespace selfalign::serve
