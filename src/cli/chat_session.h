// SPDX-License-Identifier: Apache-2.0
// One side of a chat: a model, the short prompt it answers under, and what was
// said so far.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "generate/generator.h"
#include "recipe/chat.h"

namespace selfalign::cli {

class ChatSession {
 public:
  ChatSession(std::unique_ptr<generate::Generator> generator,
              recipe::ChatPrompt prompt, generate::Sampling sampling,
              int max_context, uint64_t seed);

  // The answer, trimmed; none if an interrupt ended it. The oldest turns are
  // left out of the prompt where they leave no room for a whole answer. `show`
  // gets it in pieces as it is made, which together are its text.
  std::optional<generate::Completion> answer(
      const std::string& user,
      const std::function<void(std::string_view)>& show = {});
  // Turns that the last prompt left out.
  size_t num_left_out() const { return first_; }
  void clear();

 private:
  generate::Request fitting_request(const std::string& user);

  std::unique_ptr<generate::Generator> generator_;
  recipe::ChatPrompt prompt_;
  generate::Sampling sampling_;
  int max_context_;
  uint64_t seed_;
  uint64_t num_cleared_ = 0;  // what is asked again is a further sample
  size_t first_ = 0;
  std::vector<recipe::ChatTurn> turns_;
};

}  // namespace selfalign::cli
