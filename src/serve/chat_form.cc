#include "serve/chat_form.h"

#include <utility>

#include "stages/adapter_prompt.h"
#include "stages/chat.h"

namespace selfalign::serve {
ChatForm::ChatForm(stages::ChatPrompt prompt) : prompt_(std::move(prompt)) {
  if (prompt_.prompt.empty()) return;
  prefix_ = std::make_shared<const std::string>(prompt_.prompt);
}

generate::Request ChatForm::render(const std::vector<Message>& messages) const {
  const bool has_system = messages.front().role == "system";
  stages::ChatPrompt own = prompt_;
  own.prompt = has_system ? messages.front().text + "\n\n" : "";
  std::vector<stages::ChatTurn> turns;
  for (size_t i = has_system ? 1 : 0; i + 1 < messages.size(); i += 2) {
    turns.push_back({messages[i].text, messages[i + 1].text});
  }
  stages::ChatText chat =
      stages::render_chat(own, turns, 0, messages.back().text);
  generate::Request request;
  if (!has_system) request.prefix = prefix_;
  request.suffix = std::move(chat.text);
  request.cuts = std::move(chat.cuts);
  return request;
}

std::string ChatForm::jinja() const { return stages::chat_template(prompt_); }

}  // namespace selfalign::serve
