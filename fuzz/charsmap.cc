// SPDX-License-Identifier: Apache-2.0
// SentencePiece's tables of replacements: the first byte says how much of the
// rest is text that is normalised by what else there is.
#include "text/charsmap.h"

#include <memory>

#include "fuzz.h"
#include "text/normalizer.h"

namespace text = selfalign::text;

void fuzz_one(std::string_view bytes) {
  if (bytes.empty()) return;
  const size_t length =
      std::min<size_t>(static_cast<unsigned char>(bytes[0]), bytes.size() - 1);
  const std::string_view from = bytes.substr(bytes.size() - length);
  bytes = bytes.substr(1, bytes.size() - 1 - length);
  text::NormalizerStep step;
  step.kind = text::NormalizerStep::Kind::kCharsmap;
  step.charsmap = std::make_shared<const text::Charsmap>(bytes, "fuzz");
  for (size_t pos = 0; pos < from.size(); ++pos) {
    step.charsmap->longest(from.substr(pos));
  }
  text::Begins begins = text::Begins::kText;
  text::Normalizer({step}, "fuzz").apply(from, begins);
}
