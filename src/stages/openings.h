// SPDX-License-Identifier: Apache-2.0
// How a request begins what it asks the model to write: with the first words of
// a seed ("Explain how", "Is it safe"), which the model goes on with
// (instruct.opening_words). Left to itself a small model falls into few ruts
// ("What is the most ...?") whatever exemplars it is shown.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"

namespace selfalign::stages {

// A seed, one line or more, and the key of its row.
struct OpeningSeed {
  uint64_t key = 0;
  std::string text;
};

struct Opening {
  uint64_t seed = 0;  // key of its row
  std::string text;   // one word or more, without space around; "": none
};

// The first `num_words` words of one of the seeds, drawn by `draw` alone; one
// word less where the seed would be whole. Seeds of one word are passed over;
// none if nothing is left or num_words is 0.
Opening draw_opening(const std::vector<OpeningSeed>& seeds, int num_words,
                     uint64_t draw);

// What a prompt that goes on with the opening ends with, after `prompt`.
std::string after(const std::string& prompt, const Opening& opening);

// The opening as a request's row keeps it, and what the row's completion then
// says: with the opening before it. A row without one says what it says.
void keep_opening(const Opening& opening, Json& content);
std::string with_opening(const Json& content, const std::string& completion);

}  // namespace selfalign::stages
