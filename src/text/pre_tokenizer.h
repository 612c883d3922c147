// SPDX-License-Identifier: Apache-2.0
// Pre-tokenization: a text is cut into words before it becomes tokens, by a
// sequence of steps, of which most are regular expressions (pattern.h).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/pattern.h"

namespace selfalign::text {

// What becomes of a match: the names are tokenizer.json's.
enum class SplitBehavior {
  kIsolated,            // a word of its own
  kRemoved,             // dropped
  kMergedWithPrevious,  // ends the word before it
  kMergedWithNext,      // begins the word after it
  kContiguous,          // as kIsolated, neighbouring matches together
};

// Which words get a space in front: only where a text begins, or every word.
enum class PrependScheme { kFirst, kNever, kAlways };

// What stands before a text: nothing, an added token, or text that is no token
// by itself, so that nothing is put in between.
enum class Begins { kText, kAfterToken, kInText };

struct PreTokenizerStep {
  enum class Kind {
    kSplit,
    kPrefixSpace,  // a word that does not begin with a space gets one
    kMetaspace,    // spaces become `text`; words begin with it
    kByteLevel,    // bytes become GPT-2's printable alphabet
    kFixedLength,
  };
  Kind kind = Kind::kSplit;
  std::string pattern;  // kSplit
  SplitBehavior behavior = SplitBehavior::kIsolated;
  bool invert = false;  // the text between matches counts as the match
  std::string text;     // kMetaspace: one character
  PrependScheme prepend = PrependScheme::kAlways;  // kMetaspace
  bool cuts = true;                                // kMetaspace: into words
  size_t length = 0;                               // kFixedLength: characters
};

// The steps behind a name of GGUF's key tokenizer.ggml.pre. Error kInput names
// `where`, the known names and an unknown one.
std::vector<PreTokenizerStep> pre_tokenizer_named(const std::string& name,
                                                  const std::string& where);
// Whether a word that is a token is that token, whatever its merges.
bool ignores_merges_named(const std::string& name);
// tokenizer.json's ByteLevel with use_regex: the pattern of GPT-2.
PreTokenizerStep gpt2_step();
PreTokenizerStep split_step(std::string pattern,
                            SplitBehavior behavior = SplitBehavior::kIsolated,
                            bool invert = false);
// tokenizer.json's Digits: each number apart, or runs of them.
PreTokenizerStep digits_step(bool individual);
// tokenizer.json's Punctuation, which knows that of Unicode 8.
PreTokenizerStep punctuation_step(SplitBehavior behavior);
// tokenizer.json's Whitespace: words, and runs of what is neither in words nor
// white space.
PreTokenizerStep whitespace_step();

class PreTokenizer {
 public:
  // Error kInput if a pattern is not understood.
  PreTokenizer(std::vector<PreTokenizerStep> steps, const std::string& where);
  ~PreTokenizer();
  PreTokenizer(PreTokenizer&&) noexcept;

  bool empty() const { return steps_.empty(); }
  // Calls `word` for each word of `text` in order. Bytes that are not UTF-8
  // are words of their own. Error kInput if a match runs over its limit.
  void split(std::string_view text,
             const std::function<void(std::string_view)>& word,
             Begins begins = Begins::kText) const;

 private:
  struct Step;
  struct Run;
  // `first`: the word begins where the text does.
  void apply(size_t step, std::string_view text, bool first, Run& run) const;
  void apply_split(size_t step, std::string_view text, bool first,
                   Run& run) const;
  void apply_metaspace(size_t step, std::string_view text, bool first,
                       Run& run) const;
  void apply_fixed(size_t step, std::string_view text, bool first,
                   Run& run) const;

  std::vector<Step> steps_;
};

}  // namespace selfalign::text
