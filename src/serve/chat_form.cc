// SPDX-License-Identifier: Apache-2.0
#include "serve/chat_form.h"

#include "recipe/chat.h"
#include "stages/adapter_prompt.h"

namespace selfalign::serve {

generate::Request ChatForm::render(const std::vector<Message>& messages) const {
  const Message& first = messages.front();
  const bool has_system = first.role == "system";
  std::vector<recipe::ChatTurn> turns;
  for (size_t i = has_system ? 1 : 0; i + 1 < messages.size(); i += 2) {
    turns.push_back({messages[i].text, messages[i + 1].text});
  }
  return recipe::chat_request(
      has_system ? recipe::with_system(prompt_, first.text) : prompt_, turns, 0,
      messages.back().text);
}

std::string ChatForm::jinja() const { return stages::chat_template(prompt_); }

}  // namespace selfalign::serve
