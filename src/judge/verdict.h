// SPDX-License-Identifier: Apache-2.0
// What a judge's text says. A text without a verdict is an outcome of its own,
// counted and never left out.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace selfalign::judge {

// Of two answers shown one after the other.
enum class Verdict { kNone = 0, kFirst = 1, kSecond = 2, kTie = 3 };
const char* verdict_name(Verdict verdict);  // "none", "first", "second", "tie"
Verdict verdict_from_name(const std::string& name);  // Error kInput if unknown
// The same verdict about the two in the other order.
Verdict swapped(Verdict verdict);

// The last of "[[A]]", "[[B]]" and "[[C]]" (the marks of MT-bench's prompts):
// a verdict follows its reasons.
Verdict parse_pair(std::string_view text);
// The last "[[N]]", else the last "[N]", with 1 <= N <= 10; none if the last
// mark with a number is out of that range.
std::optional<double> parse_rating(std::string_view text);
// The last of "[[yes]]" and "[[no]]", in any case; else "yes" or "no" as the
// first word of the text.
std::optional<bool> parse_yes_no(std::string_view text);

}  // namespace selfalign::judge
