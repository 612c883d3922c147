// tokenizer.json, the file of HF's fast tokenizers, as far as it says
// byte-level BPE: model BPE; pre-tokenizers ByteLevel, Split, Digits and
// Sequence; normalizers NFC, NFD, NFKC, NFKD, Lowercase and Sequence.
#pragma once

#include <memory>
#include <string>

#include "text/tokenizer.h"

namespace selfalign::text {

// What the files beside a tokenizer say about it: tokenizer_config.json,
// generation_config.json and config.json, each of which may be absent.
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

// Whether a tokenizer.json holds SentencePiece's BPE (with byte fallback) and
// not byte-level BPE: then the tokenizer.model beside it is to be read.
bool is_sentencepiece_json(const std::string& path);

}  // namespace selfalign::text
