// SPDX-License-Identifier: Apache-2.0
#include "cli/chat_session.h"

#include <utility>

#include "generate/row_key.h"
#include "parse/thoughts.h"

namespace selfalign::cli {

ChatSession::ChatSession(std::unique_ptr<generate::Generator> generator,
                         recipe::ChatPrompt prompt, generate::Sampling sampling,
                         int max_context, uint64_t seed)
    : generator_(std::move(generator)),
      prompt_(std::move(prompt)),
      sampling_(std::move(sampling)),
      max_context_(max_context),
      seed_(seed) {
  sampling_.stop = prompt_.stop;
}

void ChatSession::clear() {
  turns_.clear();
  first_ = 0;
  ++num_cleared_;
}

generate::Request ChatSession::fitting_request(const std::string& user) {
  const auto ask = [&] {
    return recipe::chat_request(prompt_, turns_, first_, user);
  };
  generate::Request request = ask();
  const auto fits = [&] {
    // What BOS and cuts add comes off the room for the answer.
    const int room = max_context_ - sampling_.max_new_tokens - 1;
    return generator_->count_tokens(prompt_.prompt + request.suffix) <= room;
  };
  while (first_ < turns_.size() && !fits()) {
    ++first_;
    request = ask();
  }
  return request;
}

std::optional<generate::Completion> ChatSession::answer(
    const std::string& user,
    const std::function<void(std::string_view)>& show) {
  generate::Request request = fitting_request(user);
  request.sampling = sampling_;
  request.key = generate::row_key(generator_->fingerprint(), request, seed_,
                                  num_cleared_);
  std::string made;
  size_t num_shown = 0;  // bytes of `made`, trimmed
  if (show) {
    request.on_text = [&](std::string_view piece) {
      made += piece;
      // White space at the end is shown once something follows it.
      const std::string trimmed = parse::trim(made);
      if (trimmed.size() > num_shown) show(trimmed.substr(num_shown));
      num_shown = trimmed.size();
      return true;
    };
  }
  std::optional<generate::Request> next = std::move(request);
  std::optional<generate::Completion> answer;
  generator_->generate([&next] { return std::exchange(next, std::nullopt); },
                       [&answer](generate::Completion completion) {
                         answer = std::move(completion);
                       });
  if (!answer) return std::nullopt;
  answer->text = parse::trim(answer->text);
  if (generate::is_given_up(answer->finish)) return answer;
  turns_.push_back({user, answer->text});
  return answer;
}

}  // namespace selfalign::cli
