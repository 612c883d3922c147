// SPDX-License-Identifier: Apache-2.0
// How the next token is chosen where models are compared: one decoding for all
// of them, so that what differs is the models. It is also how an assistant
// answers unless it is asked otherwise.
#pragma once

#include <optional>
#include <string>

#include "base/json.h"
#include "generate/generator.h"

namespace selfalign::recipe {

// Temperature 0.7 is the paper's (section 4); it names no other number. Top-p
// 0.95 and 512 new tokens are what the published code has with that
// temperature (the script of its second version). No penalty.
generate::Sampling comparison_sampling();

// The most probable token, and nothing that would make it another one: no
// penalty. Length, stop strings, bans and biases stay.
generate::Sampling greedy(generate::Sampling sampling);

// What somebody asks for in so many words; the rest stays as it is.
struct GivenSampling {
  std::optional<double> temperature;
  std::optional<double> top_p;
  std::optional<int> max_new_tokens;
  std::optional<double> repetition_penalty;

  bool any() const;
  // A temperature of 0 is greedy: a penalty stays only if it is given, too.
  void put(generate::Sampling& sampling) const;
};

// {"temperature", "top_p", "max_new_tokens", "repetition_penalty",
//  "ngram_penalty", "ban_eos"}. Back: what is missing is as by default; Error
// kInput, which names `where`, for other types and values out of range.
Json to_json(const generate::Sampling& sampling);
generate::Sampling sampling_from_json(const Json& json,
                                      const std::string& where);

// "temperature 0.7, top-p 0.95, at most 512 tokens, no penalty"; "greedy, at
// most ...". Of to_json's object, whose members may be texts where the value is
// not one: "by category".
std::string sampling_text(const Json& sampling);

}  // namespace selfalign::recipe
