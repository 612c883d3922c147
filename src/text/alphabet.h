// SPDX-License-Identifier: Apache-2.0
// GPT-2's alphabet: 256 printable characters that stand for the bytes, so that
// any bytes are text.
#pragma once

#include <string>
#include <string_view>

namespace selfalign::text {

std::string bytes_to_alphabet(std::string_view bytes);
// The bytes a text stands for; one outside the alphabet stands for itself.
std::string alphabet_to_bytes(const std::string& text);

}  // namespace selfalign::text
