// SPDX-License-Identifier: Apache-2.0
#include "eval/forms.h"

#include "parse/thoughts.h"
#include "recipe/chat.h"

namespace selfalign::eval {
namespace {

using recipe::ChatPrompt;

// Stage 2's turn of the user with the tag of the answer in the thoughts' place.
std::string answer_turn(const recipe::Prompts& prompts,
                        const std::string& user) {
  std::string text = recipe::align_suffix(prompts, user);
  const size_t tag = text.rfind(prompts.align.thought_tag);
  if (tag != std::string::npos) text.resize(tag);
  return text + prompts.align.answer_tag;
}

class ChatForm : public Form {
 public:
  ChatForm(const ChatPrompt& prompt, const generate::Sampling& sampling)
      : prompt_(prompt), sampling_(sampling) {}

  generate::Request ask(const std::vector<recipe::ChatTurn>& history,
                        const std::string& user) const override {
    generate::Request request = recipe::chat_request(prompt_, history, 0, user);
    request.sampling = sampling_;
    request.sampling.stop = prompt_.stop;
    return request;
  }
  std::string read(const generate::Completion& completion) const override {
    return parse::trim(completion.text);
  }

 private:
  const ChatPrompt prompt_;
  const generate::Sampling sampling_;
};

class PromptedForm : public Form {
 public:
  PromptedForm(const recipe::Prompts& prompts,
               const generate::Sampling& sampling)
      : prompts_(prompts),
        sampling_(sampling),
        prefix_(std::make_shared<const std::string>(
            recipe::align_prefix(prompts))) {}

  generate::Request ask(const std::vector<recipe::ChatTurn>& history,
                        const std::string& user) const override {
    generate::Request request;
    request.prefix = prefix_;
    for (const recipe::ChatTurn& turn : history) {
      request.suffix +=
          answer_turn(prompts_, turn.user) + " " + turn.answer + "\n\n";
    }
    request.suffix += recipe::align_suffix(prompts_, user);
    request.sampling = sampling_;
    request.sampling.stop = prompts_.align.stop;
    return request;
  }
  std::string context(const std::string& user) const override {
    return *prefix_ + answer_turn(prompts_, user);
  }
  std::string read(const generate::Completion& completion) const override {
    const recipe::AlignPrompt& align = prompts_.align;
    return parse::split_thought(
               completion.text, align.answer_tag,
               {align.user_tag, align.thought_tag, align.answer_tag})
        .answer;
  }

 private:
  const recipe::Prompts prompts_;
  const generate::Sampling sampling_;
  const std::shared_ptr<const std::string> prefix_;
};

}  // namespace

std::shared_ptr<const Form> chat_form(const ChatPrompt& prompt,
                                      const generate::Sampling& sampling) {
  return std::make_shared<ChatForm>(prompt, sampling);
}

std::shared_ptr<const Form> prompted_form(const recipe::Prompts& prompts,
                                          const generate::Sampling& sampling) {
  return std::make_shared<PromptedForm>(prompts, sampling);
}

}  // namespace selfalign::eval
