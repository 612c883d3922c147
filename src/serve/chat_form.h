// SPDX-License-Identifier: Apache-2.0
// How a served model is asked in a chat: the layout it was tuned on.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "generate/generator.h"
#include "recipe/prompts.h"
#include "serve/api_request.h"

namespace selfalign::serve {

class ChatForm {
 public:
  explicit ChatForm(recipe::ChatPrompt prompt) : prompt_(std::move(prompt)) {}

  // Checked messages (ChatAsk) as a request (stages::chat_request). A system
  // message stands in place of the form's prompt.
  generate::Request render(const std::vector<Message>& messages) const;

  const std::vector<std::string>& stop() const { return prompt_.stop; }

  // The same layout as a Jinja template, for clients that render by
  // themselves.
  std::string jinja() const;

 private:
  recipe::ChatPrompt prompt_;
};

}  // namespace selfalign::serve
