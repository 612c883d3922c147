// SPDX-License-Identifier: Apache-2.0
// Normalizers of tokenizer.json: what is done to a text before it is cut.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/charsmap.h"
#include "text/pattern.h"
#include "text/pre_tokenizer.h"
#include "text/unicode.h"

namespace selfalign::text {

struct NormalizerStep {
  enum class Kind {
    kForm,
    kStripAccents,  // marks go
    kStrip,         // white space at the ends goes
    kReplace,
    kPrepend,       // a text that is not empty gets `content` in front
    kNmt,           // controls go, odd white space becomes a space
    kCharsmap,      // SentencePiece's table, as HF's tokenizers uses it
    kByteLevel,     // bytes become GPT-2's printable alphabet
    kCleanText,     // Bert's: controls go, white space becomes a space
    kChineseChars,  // Bert's: spaces around Han characters
    kBertAccents,   // Bert's: decomposed, without nonspacing marks
  };
  NormalizerStep() = default;
  NormalizerStep(TextForm of) : form(of) {}  // NOLINT: a form is a step

  Kind kind = Kind::kForm;
  TextForm form = TextForm::kNfc;
  std::string pattern;    // kReplace
  bool is_regex = false;  // else the pattern is the text itself
  std::string content;    // kReplace, kPrepend
  bool left = true;       // kStrip
  bool right = true;
  std::shared_ptr<const Charsmap> charsmap;
};

class Normalizer {
 public:
  // A text of n bytes may become that many times n, and some more.
  static constexpr size_t kMaxGrowth = 64;

  // Error kInput if a pattern is not understood.
  Normalizer(std::vector<NormalizerStep> steps, const std::string& where);

  bool empty() const { return steps_.empty(); }
  // Bytes that are not UTF-8 stay as they are. `begins` says what stands before
  // the text and, after, before what is left of it. Error kInput if a pattern
  // runs over its limit or the text grows beyond all measure.
  std::string apply(std::string_view text, Begins& begins) const;

  // How many bytes of a text may become one, at most; 0: any number.
  size_t max_shrink() const;

 private:
  struct Step {
    NormalizerStep options;
    std::unique_ptr<const Pattern> pattern;
  };
  std::string apply(const Step& step, std::string_view text,
                    Begins begins) const;
  // How many of the bytes in front of a text come from its first character,
  // when a step made `next` of it; `first`: before.
  size_t first_after(const Step& step, std::string_view text,
                     std::string_view next, size_t first) const;
  std::string replace(const Step& step, std::string_view text) const;
  void check_growth(size_t before, size_t after) const;

  std::vector<Step> steps_;
  std::string where_;
};

}  // namespace selfalign::text
