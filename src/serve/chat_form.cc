#include "serve/chat_form.h"

#include <utility>

#include "base/json.h"
#include "stages/chat.h"

namespace selfalign::serve {
namespace {

// A literal of Jinja, which reads JSON's escapes.
std::string literal(const std::string& text) { return dump_json(Json(text)); }

}  // namespace

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
