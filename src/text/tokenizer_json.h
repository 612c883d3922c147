// SPDX-License-Identifier: Apache-2.0
// tokenizer.json, the file of HF's fast tokenizers: models BPE and Unigram, and
// what pipeline_json.h reads. docs/models.md lists it.
#pragma once

#include <memory>
#include <string>
#include <variant>

#include "base/json.h"
#include "text/byte_bpe.h"
#include "text/tokenizer.h"
#include "text/unigram.h"

namespace selfalign::text {

// What the files beside a tokenizer say about it: tokenizer_config.json,
// special_tokens_map.json, generation_config.json and config.json, each of
// which may be absent.
struct SideFiles {
  int bos = -1;
  int eos = -1;
  std::string bos_text;  // where ids are not stated
  std::string eos_text;
  std::vector<int> end_tokens;
  int adds_bos = -1;  // -1: not stated, else 0 or 1
};
SideFiles read_side_files(const std::string& folder);

// Error kInput names the file and the first thing in it that is not
// understood. The files beside it say which tokens begin and end a text.
std::unique_ptr<Tokenizer> read_tokenizer_json(const std::string& path);
// What it is made of, for who writes it in another form; the same errors.
using JsonVocabulary = std::variant<BpeVocabulary, UnigramVocabulary>;
JsonVocabulary read_json_vocabulary(const std::string& path);

// A tokenizer.json in parts. Big containers are in a map with logarithmic
// look-up; Json's keeps order.
struct TokenizerFile {
  nlohmann::json vocab;
  nlohmann::json merges;
  Json rest;  // an object with an object 'model'

  // Whether it holds SentencePiece's BPE (with byte fallback) and not
  // byte-level BPE: then a tokenizer.model beside it is to be read.
  bool is_sentencepiece() const;
};
// Error kInput for a file that is no JSON or has no model.
TokenizerFile open_tokenizer_json(const std::string& path);

}  // namespace selfalign::text
