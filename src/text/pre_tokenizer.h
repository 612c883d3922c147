// SPDX-License-Identifier: Apache-2.0
// Pre-tokenization: text is cut into words before byte-pair merges, by a
// sequence of regular expressions. Patterns are in the syntax tokenizer.json
// uses (Oniguruma) and run on PCRE2 without its JIT and under a match limit
// that grows with the text, so that a pattern from a model folder can neither
// run code nor take more than linear time.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace selfalign::text {

// What becomes of a match: the names are tokenizer.json's.
enum class SplitBehavior {
  kIsolated,            // a word of its own
  kRemoved,             // dropped
  kMergedWithPrevious,  // ends the word before it
  kMergedWithNext,      // begins the word after it
  kContiguous,          // as kIsolated, neighbouring matches together
};

struct PreTokenizerStep {
  enum class Kind { kSplit, kPrefixSpace };
  Kind kind = Kind::kSplit;
  std::string pattern;  // kSplit
  SplitBehavior behavior = SplitBehavior::kIsolated;
  bool invert = false;  // the text between matches counts as the match
  // kPrefixSpace: a word that does not begin with a space gets one.
};

// The steps behind a name of GGUF's key tokenizer.ggml.pre: "gpt2", "smollm",
// "starcoder", "llama-bpe", "qwen2" and their aliases. Error kInput names
// `where` and an unknown name.
std::vector<PreTokenizerStep> pre_tokenizer_named(const std::string& name,
                                                  const std::string& where);
// tokenizer.json's ByteLevel with use_regex: the pattern of GPT-2.
PreTokenizerStep gpt2_step();
// tokenizer.json's Digits: each number apart, or runs of them.
PreTokenizerStep digits_step(bool individual);
// `text` as a pattern that matches exactly it.
std::string quote_pattern(std::string_view text);

class PreTokenizer {
 public:
  // Error kInput if a pattern is not understood.
  PreTokenizer(std::vector<PreTokenizerStep> steps, const std::string& where);
  ~PreTokenizer();
  PreTokenizer(PreTokenizer&&) noexcept;

  // Calls `word` for each word of `text` in order. Bytes that are not UTF-8
  // are words of their own. With `continues`, text stands before it, and the
  // space that a text gets in front of all else is left out. Error kInput if a
  // match runs over its limit.
  void split(std::string_view text,
             const std::function<void(std::string_view)>& word,
             bool continues = false) const;

 private:
  struct Step;
  struct Run;
  void apply(size_t step, std::string_view text, Run& run) const;

  std::vector<Step> steps_;
  std::string where_;
};

}  // namespace selfalign::text
