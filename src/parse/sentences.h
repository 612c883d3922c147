// SPDX-License-Identifier: Apache-2.0
// Answers judged sentence by sentence: one that says again what the prompt's
// examples say, and one that only says that an answer will come. A sentence
// ends at a line break, or at . ! or ? before white space. Words are compared
// without case and marks.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace selfalign::parse {

// Without white space at both ends; none is empty.
std::vector<std::string> split_sentences(std::string_view text);

// A sentence of fewer words says nothing about where it is from.
constexpr size_t kMinCopiedWords = 7;
// So many words in a row are a copy though they are no whole sentence.
constexpr size_t kMaxSharedWords = 12;

// What `answer` copies out of `examples`, for the person: a whole sentence of
// kMinCopiedWords or more, anywhere in the answer, or kMaxSharedWords in a row
// of one. What the instruction has itself is no copy.
std::optional<std::string> copied_sentence(
    const std::string& answer, const std::vector<std::string>& examples,
    const std::string& instruction);

// Whether every sentence of `answer` only announces something that does not
// come: it ends in a colon ("The list is:"; not in a number, "The ratio is
// 3:"), or it says that a text of some kind is here, will be written or can be
// had
// ("Sure! Here is a poem.", "Here you go!", "I can help you with that."). The
// numbers of a list without its items ("1."), a fence without code and a table
// of headings announce, too; lines of other marks alone say nothing. False for
// an answer without any sentence, and for a consent alone ("Sure.").
bool only_announces(const std::string& answer);

}  // namespace selfalign::parse
