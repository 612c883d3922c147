// How a served model is asked in a chat: the layout it was tuned on.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "serve/api_request.h"
#include "stages/prompts.h"
#include "text/tokenizer.h"

namespace selfalign::serve {

struct ChatText {
  std::shared_ptr<const std::string> prefix;  // shared by all chats, or null
  std::string suffix;
};

class ChatForm {
 public:
  // The prompt becomes a shared prefix where cutting it off gives the same
  // tokens as the whole text, which is what the model was tuned on.
  ChatForm(stages::ChatPrompt prompt, const text::Tokenizer& tokenizer);

  // Checked messages (ChatAsk) as text. A system message stands in place of
  // the form's prompt, as it does in tuning on conversations.
  ChatText render(const std::vector<Message>& messages) const;

  const std::vector<std::string>& stop() const { return prompt_.stop; }

  // The same layout as a Jinja template, for clients that render by
  // themselves.
  std::string jinja() const;

 private:
  stages::ChatPrompt prompt_;
  std::shared_ptr<const std::string> prefix_;
};

}  // namespace selfalign::serve
