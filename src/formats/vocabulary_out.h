// SPDX-License-Identifier: Apache-2.0
// A vocabulary in another form than it was read in: as metadata of a GGUF file,
// or as the tokenizer files of an HF folder.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "formats/gguf_writer.h"
#include "formats/load_tokenizer.h"

namespace selfalign::formats {

// The keys tokenizer.ggml.* for a model of `num_rows` tokens: those that the
// vocabulary lacks are unused. `tokens` is the tokenizer made of it. Error
// kInput for what llama.cpp would tokenize otherwise: a pre-tokenizer that has
// no name there, a normalizer other than NFC (which it leaves out),
// words that are tokens before merging where the name does not say so.
void put_gguf_vocabulary(const Vocabulary& vocabulary,
                         const text::Tokenizer& tokens, int64_t num_rows,
                         GgufEntries& out);

// Writes tokenizer.json (byte-level BPE) or tokenizer.model (SentencePiece) and
// tokenizer_config.json with the members of `config` beside what the vocabulary
// says; reads them again and compares. Names of the files.
std::vector<std::string> write_hf_vocabulary(const std::string& folder,
                                             const Vocabulary& vocabulary,
                                             const text::Tokenizer& tokens,
                                             Json config);

}  // namespace selfalign::formats
