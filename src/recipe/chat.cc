// SPDX-License-Identifier: Apache-2.0
#include "recipe/chat.h"

#include <memory>
#include <utility>

#include "parse/thoughts.h"

namespace selfalign::recipe {

ChatPrompt read_chat_prompt(const std::string& prompts_folder,
                            const std::string& form) {
  const Prompts prompts = load_prompts(prompts_folder);
  if (form != "none") return chat_form(prompts, form);
  ChatPrompt chat = prompts.engraved;
  chat.prompt.clear();
  return chat;
}

std::vector<std::string> chat_forms() {
  std::vector<std::string> forms = inference_forms();
  forms.insert(forms.begin(), {"none", "engraved", "final", "tuned"});
  return forms;
}

ChatText render_chat(const ChatPrompt& prompt,
                     const std::vector<ChatTurn>& turns, size_t first,
                     const std::string& user) {
  ChatText chat{prompt.prompt, {}};
  for (size_t i = first; i < turns.size(); ++i) {
    chat.text += chat_turn(prompt, turns[i].user);
    chat.cuts.push_back(chat.text.size());
    chat.text += turns[i].answer;
    chat.cuts.push_back(chat.text.size());
    chat.text += prompt.between;
  }
  chat.text += chat_turn(prompt, user);
  return chat;
}

std::vector<generate::Message> chat_messages(const ChatPrompt& prompt,
                                             const std::vector<ChatTurn>& turns,
                                             size_t first,
                                             const std::string& user) {
  std::vector<generate::Message> messages;
  const std::string system = parse::trim(prompt.prompt);
  if (!system.empty()) messages.push_back({"system", system});
  for (size_t i = first; i < turns.size(); ++i) {
    messages.push_back({"user", turns[i].user});
    messages.push_back({"assistant", turns[i].answer});
  }
  messages.push_back({"user", user});
  return messages;
}

ChatPrompt with_system(ChatPrompt prompt, const std::string& system) {
  prompt.prompt = system + "\n\n";
  return prompt;
}

generate::Request chat_request(const ChatPrompt& prompt,
                               const std::vector<ChatTurn>& turns, size_t first,
                               const std::string& user) {
  generate::Request request;
  ChatText chat = render_chat(prompt, turns, first, user);
  const size_t before = prompt.prompt.size();
  if (before > 0) {
    request.prefix = std::make_shared<const std::string>(prompt.prompt);
  }
  request.suffix = chat.text.substr(before);
  request.cuts = std::move(chat.cuts);
  for (size_t& cut : request.cuts) cut -= before;
  request.messages = chat_messages(prompt, turns, first, user);
  return request;
}

}  // namespace selfalign::recipe
