#include "serve/chat_form.h"

#include <utility>

#include "base/json.h"
#include "stages/chat.h"

namespace selfalign::serve {
namespace {

bool splits_cleanly(const text::Tokenizer& tokenizer, const std::string& head,
                    const std::string& tail) {
  std::vector<int> tokens = tokenizer.encode(head);
  const std::vector<int> rest = tokenizer.encode(tail);
  tokens.insert(tokens.end(), rest.begin(), rest.end());
  return tokens == tokenizer.encode(head + tail);
}

// A literal of Jinja, which reads JSON's escapes.
std::string literal(const std::string& text) { return dump_json(Json(text)); }

}  // namespace

// Tokenizers of words see white space as part of what follows, so the prefix
// ends before it.
ChatForm::ChatForm(stages::ChatPrompt prompt, const text::Tokenizer& tokenizer)
    : prompt_(std::move(prompt)) {
  const size_t end = prompt_.prompt.find_last_not_of(" \n\t") + 1;
  const std::string head = prompt_.prompt.substr(0, end);
  const std::string tail = prompt_.prompt.substr(end);
  if (!head.empty() &&
      splits_cleanly(tokenizer, head,
                     tail + stages::chat_turn(prompt_, "Why? \n 1 a"))) {
    prefix_ = std::make_shared<const std::string>(head);
  }
}

ChatText ChatForm::render(const std::vector<Message>& messages) const {
  stages::ChatPrompt own = prompt_;
  size_t first = 0;
  if (messages.front().role == "system") {
    own.prompt = messages.front().text + "\n\n";
    first = 1;
  }
  std::vector<stages::ChatTurn> turns;
  for (; first + 1 < messages.size(); first += 2) {
    turns.push_back({messages[first].text, messages[first + 1].text});
  }
  ChatText text;
  text.suffix = stages::render_chat(own, turns, 0, messages.back().text);
  if (prefix_ != nullptr && messages.front().role != "system") {
    text.prefix = prefix_;
    text.suffix.erase(0, prefix_->size());
  }
  return text;
}

std::string ChatForm::jinja() const {
  const std::string mark = "\x01";
  const std::string turn = stages::chat_turn(prompt_, mark);
  const size_t at = turn.find(mark);
  const std::string after = turn.substr(at + mark.size());
  return "{% if messages[0].role == 'system' %}{{ messages[0].content + "
         "\"\\n\\n\" }}{% else %}{{ " +
         literal(prompt_.prompt) +
         " }}{% endif %}{% for message in messages %}{% if message.role == "
         "'user' %}{{ " +
         literal(turn.substr(0, at)) + " + message.content + " +
         literal(after.substr(0, after.size() - prompt_.answer.size())) +
         " }}{% if not loop.last or add_generation_prompt %}{{ " +
         literal(prompt_.answer) +
         " }}{% endif %}{% elif message.role == 'assistant' %}{{ "
         "message.content }}{% if not loop.last %}{{ " +
         literal(prompt_.between) + " }}{% endif %}{% endif %}{% endfor %}";
}

}  // namespace selfalign::serve
