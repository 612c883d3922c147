// SPDX-License-Identifier: Apache-2.0
// A conversation as the text that a model sees: a short prompt, then the turns
// in its layout. The terminal's chat, the server and tuning on conversations
// share it, so that a tuned model meets what it was trained on.
#pragma once

#include <string>
#include <vector>

#include "generate/generator.h"
#include "recipe/prompts.h"

namespace selfalign::recipe {

// A form of the short prompts in the folder (chat_form); "none" is their turns
// with nothing before them, which is also how a base model is asked: what it
// sees is the layout alone.
ChatPrompt read_chat_prompt(const std::string& prompts_folder,
                            const std::string& form);

// All that read_chat_prompt takes: none, engraved, final, tuned and the
// inference prompts.
std::vector<std::string> chat_forms();

struct ChatTurn {
  std::string user;
  std::string answer;
};

// The text that asks for the answer to `user` after the turns [first, end), as
// it stands in a request: with the bytes where an answer begins or ends.
struct ChatText {
  std::string text;
  std::vector<size_t> cuts;  // generate::Request::cuts
};
ChatText render_chat(const ChatPrompt& prompt,
                     const std::vector<ChatTurn>& turns, size_t first,
                     const std::string& user);

// The same for a model that takes only turns: the short prompt is the system's,
// where there is one.
std::vector<generate::Message> chat_messages(const ChatPrompt& prompt,
                                             const std::vector<ChatTurn>& turns,
                                             size_t first,
                                             const std::string& user);

// The prompt with a system message in place of its own, as tuning on
// conversations has it.
ChatPrompt with_system(ChatPrompt prompt, const std::string& system);

// The request for that answer, as everyone asks who speaks to an assistant, for
// what a text is depends on it: the short prompt is the prefix, whose tokens
// count for no penalty, and the turns are the suffix. Without key and sampling.
generate::Request chat_request(const ChatPrompt& prompt,
                               const std::vector<ChatTurn>& turns, size_t first,
                               const std::string& user);

}  // namespace selfalign::recipe
