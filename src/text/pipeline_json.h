// SPDX-License-Identifier: Apache-2.0
// The parts of a tokenizer.json that say what is done to a text before and
// after its model. docs/models.md lists them.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "text/decoder.h"
#include "text/normalizer.h"
#include "text/pre_tokenizer.h"

namespace selfalign::text {

// What `where` has that nobody reads. All of them are Error kInput.
[[noreturn]] void unknown_kind(const std::string& where,
                               const std::string& what,
                               const std::string& expected,
                               const std::string& found);
// An array member; absence is an error, too.
const Json& array_of(const Json& object, const char* name,
                     const std::string& where);

// Null is no step. Error kInput names the first that is not understood.
std::vector<NormalizerStep> read_normalizers(const Json& json,
                                             const std::string& where);
// A ByteLevel at the end of all is no step, but `byte_level`.
std::vector<PreTokenizerStep> read_pre_tokenizers(const Json& json,
                                                  const std::string& where,
                                                  bool& byte_level);
std::vector<DecoderStep> read_decoders(const Json& json,
                                       const std::string& where);
// The token that a post-processor puts before a text; "" for none.
std::string first_added_token(const Json& json, const std::string& where);

}  // namespace selfalign::text
