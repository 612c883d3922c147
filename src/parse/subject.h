// SPDX-License-Identifier: Apache-2.0
// What a text is about, by its content words: words without those that English
// uses everywhere, without endings (-s, -es, -ed, -ing, -ly). Numbers count.
#pragma once

#include <set>
#include <string>
#include <string_view>

namespace selfalign::parse {

std::set<std::string> content_words(std::string_view text);

// Whether both texts have a content word in common; true where the first has
// none, which says nothing about a subject.
bool shares_subject(const std::string& instruction, const std::string& answer);

// Whether an answer of five words or more only turns the words of the
// instruction round: no content word is new. Never of an instruction that
// brings a text to work on (a further line, a colon, quotes) or a choice
// ("or"), nor of an answer that says yes or no.
bool says_nothing_new(const std::string& instruction,
                      const std::string& answer);

// How much an answer says: the content words that the instruction has not, each
// once, by the answer's words. 1 where the instruction brings a text to work
// on, and of an answer without words.
double new_content_share(const std::string& instruction,
                         const std::string& answer);

}  // namespace selfalign::parse
