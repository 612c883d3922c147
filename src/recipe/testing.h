// SPDX-License-Identifier: Apache-2.0
// A chat's prompt for tests.
#pragma once

#include <string>

#include "generate/generator.h"
#include "recipe/chat.h"

namespace selfalign::recipe {

inline ChatPrompt chat_layout() {
  return {"About.\n\n", "U: {instruction}\n", "A: ", "\n", {"\nU:"}};
}

inline std::string whole_prompt(const generate::Request& request) {
  return (request.prefix ? *request.prefix : "") + request.suffix;
}

}  // namespace selfalign::recipe
