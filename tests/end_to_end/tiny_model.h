// The smallest model the program can work with, made in code: an HF folder
// with random weights and a tokenizer of one token a byte.
#pragma once

#include <string>

namespace selfalign {

// Writes config.json, model.safetensors and tokenizer.json to `folder`. Ids
// 0..255 are the bytes in the order of their printable stand-ins, 256 is
// "<|endoftext|>". The weights are the same every time.
void make_tiny_model(const std::string& folder);

}  // namespace selfalign
