// SPDX-License-Identifier: Apache-2.0
// Normal forms as HF's tokenizers makes them. Its tables of decompositions and
// marks are those of Unicode 9, its capitals those of Unicode 17; utf8proc has
// Unicode 15.
#pragma once

#include <string>
#include <string_view>

#include "text/unicode.h"

namespace selfalign::text {

std::string reference_form(std::string_view text, TextForm form);
bool reference_is_mark(int32_t code);  // M, for StripAccents
// For BertNormalizer, whose tables are those of Unicode 8.
bool reference_is_nonspacing(int32_t code);  // Mn
bool reference_is_other(int32_t code);       // Cc, Cf, Co

}  // namespace selfalign::text
