// SPDX-License-Identifier: Apache-2.0
#include "text/pre_tokenizer.h"

#include <algorithm>

#include "base/error.h"
#include "base/shown.h"
#include "base/slices.h"
#include "text/alphabet.h"
#include "text/unicode.h"

namespace selfalign::text {
namespace {

// Numbers that Unicode 15 to 16 added to those PCRE2 10.42 knows (Unicode 14):
// the reference cuts at them.
constexpr const char* kNumberSet =
    R"(\p{N}\x{10D40}-\x{10D49}\x{116D0}-\x{116E3}\x{11BF0}-\x{11BF9})"
    R"(\x{11DE0}-\x{11DE9}\x{11F50}-\x{11F59}\x{16130}-\x{16139})"
    R"(\x{16D70}-\x{16D79}\x{16FF4}-\x{16FF6}\x{1CCF0}-\x{1CCF9})"
    R"(\x{1D2C0}-\x{1D2D3}\x{1E4F0}-\x{1E4F9}\x{1E5F1}-\x{1E5FA})";

// Punctuation that Unicode has got since its version 8, but for some that was
// taken back: to the reference it is none.
constexpr const char* kNewPunctuation =
    R"(\x{61D}\x{9FD}\x{A76}\x{C77}\x{C84}\x{1B4E}-\x{1B4F})"
    R"(\x{1B7D}-\x{1B7F}\x{2E43}-\x{2E4F}\x{2E52}-\x{2E5D}\x{10D6E})"
    R"(\x{10EAD}\x{10F55}-\x{10F59}\x{10F86}-\x{10F89}\x{113D4}-\x{113D5})"
    R"(\x{113D7}-\x{113D8}\x{1144B}-\x{1144F}\x{1145A}-\x{1145B}\x{1145D})"
    R"(\x{11660}-\x{1166C}\x{116B9}\x{1183B}\x{11944}-\x{11946}\x{119E2})"
    R"(\x{11A3F}-\x{11A46}\x{11A9A}-\x{11A9C}\x{11A9E}-\x{11AA2})"
    R"(\x{11B00}-\x{11B09}\x{11BE1}\x{11C41}-\x{11C45}\x{11C70}-\x{11C71})"
    R"(\x{11EF7}-\x{11EF8}\x{11F43}-\x{11F4F}\x{11FFF}\x{12FF1}-\x{12FF2})"
    R"(\x{16D6D}-\x{16D6F}\x{16E97}-\x{16E9A}\x{16FE2}\x{1E5FF})"
    R"(\x{1E95E}-\x{1E95F})";

// Words of one text from its matches and the gaps between them.
class Cutter {
 public:
  using Emit = std::function<void(std::string_view word, size_t begin)>;
  Cutter(std::string_view text, SplitBehavior behavior, const Emit& emit)
      : text_(text), behavior_(behavior), emit_(emit) {}

  // The next stretch [from where the last one ended, end).
  void add(size_t end, bool match) {
    switch (behavior_) {
      case SplitBehavior::kIsolated:
        return flush(end);
      case SplitBehavior::kRemoved:
        if (match) {
          begin_ = end_ = end;
          return;
        }
        return flush(end);
      case SplitBehavior::kMergedWithPrevious:
        if (!match) flush(end_);
        end_ = end;
        if (match) flush(end);
        return;
      case SplitBehavior::kMergedWithNext:
        if (match) flush(end_);
        end_ = end;
        if (!match) flush(end);
        return;
      case SplitBehavior::kContiguous:
        if (match != last_match_) flush(end_);
        last_match_ = match;
        end_ = end;
        return;
    }
  }
  void finish() { flush(end_); }

 private:
  void flush(size_t end) {
    if (end > begin_) emit_(text_.substr(begin_, end - begin_), begin_);
    begin_ = end_ = end;
  }

  std::string_view text_;
  SplitBehavior behavior_;
  const Emit& emit_;
  size_t begin_ = 0;
  size_t end_ = 0;
  bool last_match_ = false;
};

}  // namespace

struct PreTokenizer::Step {
  PreTokenizerStep options;
  std::unique_ptr<const Pattern> pattern;  // kSplit
};

// What one call of split() uses.
struct PreTokenizer::Run {
  std::vector<std::unique_ptr<Pattern::Scratch>> scratch;  // by step
  const std::function<void(std::string_view)>& word;
  Begins begins;
};

PreTokenizerStep split_step(std::string pattern, SplitBehavior behavior,
                            bool invert) {
  PreTokenizerStep step;
  step.pattern = std::move(pattern);
  step.behavior = behavior;
  step.invert = invert;
  return step;
}

PreTokenizerStep digits_step(bool individual) {
  return split_step(str("[", kNumberSet, individual ? "]" : "]+"));
}

PreTokenizerStep punctuation_step(SplitBehavior behavior) {
  return split_step(str("(?![", kNewPunctuation, R"(])[\p{P}$+<=>^`|~)",
                        R"(\x{166D}\x{111C9}])"),
                    behavior);
}

PreTokenizerStep whitespace_step() {
  return split_step(R"([\w\x{200C}\x{200D}]+|[^\w\s\x{200C}\x{200D}]+)",
                    SplitBehavior::kRemoved, true);
}

PreTokenizer::PreTokenizer(std::vector<PreTokenizerStep> steps,
                           const std::string& where) {
  for (PreTokenizerStep& options : steps) {
    Step step;
    if (options.kind == PreTokenizerStep::Kind::kSplit) {
      step.pattern = std::make_unique<const Pattern>(options.pattern, where);
    }
    step.options = std::move(options);
    steps_.push_back(std::move(step));
  }
}
PreTokenizer::~PreTokenizer() = default;
PreTokenizer::PreTokenizer(PreTokenizer&&) noexcept = default;

void PreTokenizer::split(std::string_view text,
                         const std::function<void(std::string_view)>& word,
                         Begins begins) const {
  Run run{{}, word, begins};
  for (const Step& step : steps_) {
    run.scratch.push_back(step.pattern ? std::make_unique<Pattern::Scratch>()
                                       : nullptr);
  }
  bool first = true;
  for_each_utf8_run(text, [&](std::string_view stretch, bool valid) {
    if (valid) {
      apply(0, stretch, first, run);
    } else if (std::any_of(steps_.begin(), steps_.end(), [](const Step& step) {
                 return step.options.kind == PreTokenizerStep::Kind::kByteLevel;
               })) {
      word(bytes_to_alphabet(stretch));
    } else {
      word(stretch);
    }
    first = false;
  });
}

void PreTokenizer::apply(size_t index, std::string_view text, bool first,
                         Run& run) const {
  if (index == steps_.size()) return run.word(text);
  switch (steps_[index].options.kind) {
    case PreTokenizerStep::Kind::kSplit:
      return apply_split(index, text, first, run);
    case PreTokenizerStep::Kind::kPrefixSpace:
      if (text.starts_with(' ') || (first && run.begins == Begins::kInText)) {
        return apply(index + 1, text, first, run);
      }
      return apply(index + 1, str(' ', text), first, run);
    case PreTokenizerStep::Kind::kMetaspace:
      return apply_metaspace(index, text, first, run);
    case PreTokenizerStep::Kind::kByteLevel:
      return apply(index + 1, bytes_to_alphabet(text), first, run);
    case PreTokenizerStep::Kind::kFixedLength:
      return apply_fixed(index, text, first, run);
  }
}

void PreTokenizer::apply_split(size_t index, std::string_view text, bool first,
                               Run& run) const {
  const Step& step = steps_[index];
  const Cutter::Emit emit = [&](std::string_view word, size_t begin) {
    apply(index + 1, word, first && begin == 0, run);
  };
  Cutter cutter(text, step.options.behavior, emit);
  SliceCounter slices;
  Pattern::Search search(*step.pattern, text, *run.scratch[index]);
  size_t done = 0;  // [0, done) is with the cutter
  while (search.next()) {
    slices.count();
    if (search.begin() > done) cutter.add(search.begin(), step.options.invert);
    cutter.add(search.end(), !step.options.invert);
    done = search.end();
  }
  if (done < text.size()) cutter.add(text.size(), step.options.invert);
  cutter.finish();
}

void PreTokenizer::apply_metaspace(size_t index, std::string_view text,
                                   bool first, Run& run) const {
  const PreTokenizerStep& options = steps_[index].options;
  const std::string& mark = options.text;
  const bool begins_text = first && run.begins == Begins::kText;
  const bool in_text = first && run.begins == Begins::kInText;
  const bool may_prepend =
      options.prepend == PrependScheme::kAlways
          ? !in_text
          : options.prepend == PrependScheme::kFirst && begins_text;
  std::string marked;
  marked.reserve(text.size() + text.size() / 2 + mark.size());
  if (may_prepend && !text.starts_with(' ') && !text.starts_with(mark)) {
    marked += mark;
  }
  for (const char c : text) {
    if (c == ' ') {
      marked += mark;
    } else {
      marked += c;
    }
  }
  if (!options.cuts) return apply(index + 1, marked, first, run);
  SliceCounter slices;
  const std::string_view all = marked;
  for (size_t begin = 0; begin < all.size();) {
    slices.count();
    const size_t end = std::min(all.find(mark, begin + 1), all.size());
    apply(index + 1, all.substr(begin, end - begin), first && begin == 0, run);
    begin = end;
  }
}

void PreTokenizer::apply_fixed(size_t index, std::string_view text, bool first,
                               Run& run) const {
  SliceCounter slices;
  for (size_t begin = 0; begin < text.size();) {
    slices.count();
    size_t end = begin;
    for (size_t i = 0; i < steps_[index].options.length && end < text.size();
         ++i) {
      end += utf8_char(text, end).length;
    }
    apply(index + 1, text.substr(begin, end - begin), first && begin == 0, run);
    begin = end;
  }
}

}  // namespace selfalign::text
