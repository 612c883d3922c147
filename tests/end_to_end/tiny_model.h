// SPDX-License-Identifier: Apache-2.0
// The smallest model the program can work with, made in code: an HF folder
// with random weights and a tokenizer of one token a byte.
#pragma once

#include <string>
#include <vector>

namespace selfalign {

// Writes config.json, model.safetensors and tokenizer.json to `folder`. Ids
// 0..255 are the bytes in the order of their printable stand-ins, 256 is
// "<|endoftext|>". The weights are the same every time.
void make_tiny_model(const std::string& folder);

// What a phrase model writes after a text that ends in `after`: one of `texts`,
// each a token of its own.
struct Phrases {
  std::string after;
  std::vector<std::string> texts;
};
// A tiny model that knows its lines, so that whole runs have something to keep:
// bytes as above, `after` and `texts` as further tokens, and weights under
// which the next token depends on the last one alone: a phrase after `after`,
// the end of text after everything else. At most 31 sets of phrases.
void make_phrase_model(const std::string& folder,
                       const std::vector<Phrases>& phrases);

}  // namespace selfalign
