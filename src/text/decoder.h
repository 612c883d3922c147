// SPDX-License-Identifier: Apache-2.0
// Decoders of tokenizer.json: tokens back to text. Bytes stay bytes, so that a
// text can be streamed, where the reference puts U+FFFD for those that are not
// UTF-8.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "text/pattern.h"
#include "text/pre_tokenizer.h"

namespace selfalign::text {

struct DecoderStep {
  enum class Kind {
    kByteLevel,     // GPT-2's alphabet to bytes
    kMetaspace,     // `text` to spaces; in the first token it goes
    kByteFallback,  // "<0x0A>" to a byte
    kFuse,          // what comes after it is done to the whole text
    kStrip,         // up to `start` and `stop` times `text` at the ends go
    kReplace,
  };
  Kind kind = Kind::kByteLevel;
  std::string text;                                // kReplace: the pattern
  bool is_regex = false;                           // kReplace
  std::string content;                             // kReplace
  PrependScheme prepend = PrependScheme::kAlways;  // kMetaspace
  size_t start = 0;                                // kStrip
  size_t stop = 0;
};

class Decoder {
 public:
  // Error kInput if a pattern is not understood.
  Decoder(std::vector<DecoderStep> steps, const std::string& where);

  // What a token becomes; `first`: of a list of tokens.
  std::string token(const std::string& text, bool first) const;
  // What their texts together become.
  std::string whole(std::string text) const;
  bool is_byte_level() const;

 private:
  struct Step {
    DecoderStep options;
    std::unique_ptr<const Pattern> pattern;
  };
  static std::string apply(const Step& step, const std::string& text,
                           bool first);

  std::vector<Step> steps_;
  size_t num_for_tokens_;  // of the steps; kFuse and the others are for all
};

}  // namespace selfalign::text
