// SPDX-License-Identifier: Apache-2.0
// How subjects are spoken to: the short forms of a run's prompts, and the base
// model under stage 2's prompt.
#pragma once

#include <memory>

#include "eval/evaluation.h"
#include "recipe/prompts.h"

namespace selfalign::eval {

// Under a short prompt. The sampling's stop strings become the prompt's.
std::shared_ptr<const Form> chat_form(const recipe::ChatPrompt& prompt,
                                      const generate::Sampling& sampling);

// The same under stage 2's prompt: thoughts come before the answer and are cut;
// the context of a scored answer leaves them out, and so does the history.
std::shared_ptr<const Form> prompted_form(const recipe::Prompts& prompts,
                                          const generate::Sampling& sampling);

}  // namespace selfalign::eval
