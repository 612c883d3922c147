// SPDX-License-Identifier: Apache-2.0
// The tokenizer of whatever a path holds. It stands here and not in text
// because a GGUF file carries its vocabulary inside.
#pragma once

#include <memory>
#include <string>
#include <variant>

#include "text/byte_bpe.h"
#include "text/sentencepiece.h"
#include "text/tokenizer.h"
#include "text/unigram.h"

namespace selfalign::formats {

class GgufFile;

// From an HF folder (tokenizer.json, else tokenizer.model), a tokenizer.json,
// a SentencePiece .model, or a GGUF file. A folder whose tokenizer.json states
// SentencePiece's BPE is read from its tokenizer.model, if there is one. Error
// kInput names what is not understood (unknown pre-tokenizer, normalizer, model
// type).
std::unique_ptr<text::Tokenizer> load_tokenizer(const std::string& path);

// What it is made of, for who writes it in another form.
using Vocabulary = std::variant<text::BpeVocabulary, text::UnigramVocabulary,
                                text::SentencePieceVocabulary>;
Vocabulary load_vocabulary(const std::string& path);

// From the keys tokenizer.ggml.*: model "gpt2" (byte-level BPE, pre-tokenizer
// by name), "llama" (SentencePiece BPE) or "t5" (SentencePiece unigram).
std::unique_ptr<text::Tokenizer> tokenizer_from_gguf(const GgufFile& file);

}  // namespace selfalign::formats
