// SPDX-License-Identifier: Apache-2.0
// Whether a text goes round in circles. Apart from the filters because what
// looks like repetition is often form: the lines of a program, the rows of a
// table, the items of a list with a common frame, the refrain of a poem.
#pragma once

#include <string>

namespace selfalign::parse {

// The text is cut into units: lines of code, rows of tables, items of lists
// (without their marks), sentences. It repeats itself if
//   - the same 1 to 8 units come three times in a row over at least 12 words,
//     or one of two and more words four times; rows four times over at least
//     12 words, code over at least 24;
//   - it ends in the same 1 to 40 words three times in a row over at least 12
//     words (60 within code or a table);
//   - of 24 and more words outside code and tables over 35 % of the 4-grams
//     stood there before (plain prose has under 10 %), over 55 % in verse. All
//     of a unit counts that was there as it is, of three and more words, and
//     what comes twice within a unit. Not counted are items of whose words one
//     in twelve is new to the text, and sentences with one in six: these share
//     a frame, but say something else;
//   - of 60 and more words in code and tables over 60 % stand in lines that
//     were there before.
bool has_repetition(const std::string& text);

// The share of a text's 3-grams of words that stood there before; 0 under three
// words. Plain prose has hardly any.
double repeated_share(const std::string& text);

}  // namespace selfalign::parse
