// SPDX-License-Identifier: Apache-2.0
#include "eval/forms.h"

#include <utility>

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

}  // namespace

void speak_chat(const ChatPrompt& prompt, const generate::Sampling& sampling,
                Subject& subject) {
  subject.ask = [prompt, sampling](const std::vector<recipe::ChatTurn>& history,
                                   const std::string& user) {
    generate::Request request = recipe::chat_request(prompt, history, 0, user);
    request.sampling = sampling;
    request.sampling.stop = prompt.stop;
    return request;
  };
  subject.read = [](const generate::Completion& completion) {
    return parse::trim(completion.text);
  };
}

void speak_prompted(const recipe::Prompts& prompts,
                    const generate::Sampling& sampling, Subject& subject) {
  const auto shared =
      std::make_shared<const std::string>(recipe::align_prefix(prompts));
  subject.ask = [prompts, sampling, shared](
                    const std::vector<recipe::ChatTurn>& history,
                    const std::string& user) {
    generate::Request request;
    request.prefix = shared;
    for (const recipe::ChatTurn& turn : history) {
      request.suffix +=
          answer_turn(prompts, turn.user) + " " + turn.answer + "\n\n";
    }
    request.suffix += recipe::align_suffix(prompts, user);
    request.sampling = sampling;
    request.sampling.stop = prompts.align.stop;
    return request;
  };
  subject.context = [prompts, shared](const std::string& user) {
    return *shared + answer_turn(prompts, user);
  };
  subject.read = [align = prompts.align](const generate::Completion& done) {
    return parse::split_thought(
               done.text, align.answer_tag,
               {align.user_tag, align.thought_tag, align.answer_tag})
        .answer;
  };
}

}  // namespace selfalign::eval
