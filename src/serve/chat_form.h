// How a served model is asked in a chat: the layout it was tuned on.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "generate/generator.h"
#include "serve/api_request.h"
#include "stages/prompts.h"

namespace selfalign::serve {

class ChatForm {
 public:
  explicit ChatForm(stages::ChatPrompt prompt);

  // Checked messages (ChatAsk) as the prompt of a request, whose prefix is the
  // form's prompt. A system message stands in place of it, as it does in
  // tuning on conversations.
  generate::Request render(const std::vector<Message>& messages) const;

  const std::vector<std::string>& stop() const { return prompt_.stop; }

  // The same layout as a Jinja template, for clients that render by
  // themselves.
  std::string jinja() const;

 private:
  stages::ChatPrompt prompt_;
  std::shared_ptr<const std::string> prefix_;  // null: an empty prompt
};

}  // namespace selfalign::serve
