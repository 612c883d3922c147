// SPDX-License-Identifier: Apache-2.0
// Replacing what a tokenizer.json names, a text or a pattern.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "text/pattern.h"

namespace selfalign::text {

// `text` with each match replaced by `content`; a pattern is matched within
// runs of UTF-8 alone. Where `pattern` is null `wanted` is what is replaced,
// which is not empty. After each match `check` gets the bytes made so far, and
// may throw.
std::string replace_all(std::string_view text, const Pattern* pattern,
                        std::string_view wanted, std::string_view content,
                        const std::function<void(size_t)>& check);

// Bytes of the first match, if it is where the text begins, else 0.
size_t match_at_begin(std::string_view text, const Pattern* pattern,
                      std::string_view wanted);

}  // namespace selfalign::text
