// SPDX-License-Identifier: Apache-2.0
#include "text/pre_tokenizer.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "base/error.h"
#include "base/shown.h"
#include "base/slices.h"
#include "text/unicode.h"

namespace selfalign::text {
namespace {

// The pattern of GPT-2 (Radford et al. 2019), and those of the LLaMA 3 and
// Qwen 2 tokenizers, as their tokenizer.json files state them.
constexpr const char* kGpt2 =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+)"
    R"(|\s+(?!\S)|\s+)";
constexpr const char* kCased = R"((?i:'s|'t|'re|'ve|'m|'ll|'d))"
                               R"(|[^\r\n\p{L}\p{N}]?\p{L}+)";
constexpr const char* kMarksAndSpaces =
    R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

// White space and word characters as Unicode defines them; PCRE2's own \s
// and \w differ in a few characters.
constexpr const char* kSpaceSet = R"(\t-\r\x{85}\p{Z})";
constexpr const char* kWordSet = R"(\p{L}\p{M}\p{N}\p{Pc})";

// Numbers that Unicode 15 to 16 added to those PCRE2 10.42 knows (Unicode 14):
// the reference cuts at them.
constexpr const char* kNumberSet =
    R"(\p{N}\x{10D40}-\x{10D49}\x{116D0}-\x{116E3}\x{11BF0}-\x{11BF9})"
    R"(\x{11DE0}-\x{11DE9}\x{11F50}-\x{11F59}\x{16130}-\x{16139})"
    R"(\x{16D70}-\x{16D79}\x{16FF4}-\x{16FF6}\x{1CCF0}-\x{1CCF9})"
    R"(\x{1D2C0}-\x{1D2D3}\x{1E4F0}-\x{1E4F9}\x{1E5F1}-\x{1E5FA})";

[[noreturn]] void bad_pattern(const std::string& where,
                              const std::string& pattern,
                              const std::string& what) {
  throw Error(ErrorKind::kInput,
              str(where,
                  ": expected a pre-tokenizer pattern that PCRE2 "
                  "understands as Oniguruma does, found ",
                  what, " in '", pattern,
                  "'; use a model whose tokenizer is supported"));
}

// An escape of Oniguruma as PCRE2 writes it; "" if there is no such thing.
std::string replace_class(char escape, bool in_set) {
  const bool space = escape == 's' || escape == 'S';
  const bool negated = escape == 'S' || escape == 'W';
  if (space || escape == 'w' || escape == 'W') {
    const std::string set = space ? kSpaceSet : kWordSet;
    if (in_set) return negated ? "" : set;
    return str(negated ? "[^" : "[", set, "]");
  }
  const bool hexadecimal = escape == 'h' || escape == 'H';
  return hexadecimal ? "" : std::string{'\\', escape};
}

// Oniguruma to PCRE2: rewrites classes that mean something else there and
// refuses what only Oniguruma has.
std::string to_pcre2(const std::string& pattern, const std::string& where) {
  std::string out;
  bool in_set = false;
  for (size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if (c == '\\' && i + 1 < pattern.size()) {
      const char next = pattern[++i];
      const std::string replaced = replace_class(next, in_set);
      if (replaced.empty()) {
        bad_pattern(where, pattern, str("\\", next, in_set ? " in a set" : ""));
      }
      out += replaced;
      continue;
    }
    if (in_set && c == '[' && !pattern.substr(i).starts_with("[:")) {
      bad_pattern(where, pattern, "a set inside a set");
    }
    if (in_set && c == '&' && pattern.substr(i).starts_with("&&")) {
      bad_pattern(where, pattern, "an intersection of sets");
    }
    if (c == '[' && !in_set) {
      in_set = true;
      out += c;
      if (pattern.substr(i + 1).starts_with('^')) out += pattern[++i];
      if (pattern.substr(i + 1).starts_with(']')) out += pattern[++i];
      continue;
    }
    if (in_set && c == '[') {  // a POSIX class: copied whole
      const size_t end = pattern.find(":]", i);
      if (end == std::string::npos) bad_pattern(where, pattern, "an open set");
      out.append(pattern, i, end + 2 - i);
      i = end + 1;
      continue;
    }
    if (c == ']') in_set = false;
    out += c;
  }
  return out;
}

struct FreeCode {
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
};
struct FreeMatch {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};
struct FreeContext {
  void operator()(pcre2_match_context* context) const {
    pcre2_match_context_free(context);
  }
};
using Code = std::unique_ptr<pcre2_code, FreeCode>;

std::string pcre2_message(int error) {
  std::array<PCRE2_UCHAR, 256> text{};
  pcre2_get_error_message(error, text.data(), text.size());
  return reinterpret_cast<const char*>(text.data());
}

Code compile(const std::string& pattern, const std::string& where) {
  const std::string translated = to_pcre2(pattern, where);
  int error = 0;
  PCRE2_SIZE offset = 0;
  Code code(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()),
                          translated.size(),
                          PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C,
                          &error, &offset, nullptr));
  if (!code) {
    bad_pattern(where, pattern,
                str("at offset ", offset, ": ", pcre2_message(error)));
  }
  return code;
}

// Words of one text from its matches and the gaps between them.
class Cutter {
 public:
  using Emit = std::function<void(std::string_view)>;
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
    if (end > begin_) emit_(text_.substr(begin_, end - begin_));
    begin_ = end_ = end;
  }

  std::string_view text_;
  SplitBehavior behavior_;
  const Emit& emit_;
  size_t begin_ = 0;
  size_t end_ = 0;
  bool last_match_ = false;
};

PreTokenizerStep split_step(std::string pattern) {
  PreTokenizerStep step;
  step.pattern = std::move(pattern);
  return step;
}

}  // namespace

struct PreTokenizer::Step {
  PreTokenizerStep options;
  Code code;  // null for kPrefixSpace
};

// What one call of split() uses: PCRE2's scratch memory, one per step.
struct PreTokenizer::Run {
  std::vector<std::unique_ptr<pcre2_match_data, FreeMatch>> data;
  std::unique_ptr<pcre2_match_context, FreeContext> context;
  const std::function<void(std::string_view)>& word;
  bool continues;  // nothing of the text is done, and text stands before it
};

PreTokenizerStep gpt2_step() { return split_step(kGpt2); }

PreTokenizerStep digits_step(bool individual) {
  return split_step(str("[", kNumberSet, individual ? "]" : "]+"));
}

std::string quote_pattern(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80 && !std::isalnum(byte) && byte > ' ') out += '\\';
    out += c;
  }
  return out;
}

std::vector<PreTokenizerStep> pre_tokenizer_named(const std::string& name,
                                                  const std::string& where) {
  if (name == "gpt2" || name == "gpt-2" || name == "olmo" || name == "mpt" ||
      name == "jais") {
    return {gpt2_step()};
  }
  if (name == "smollm" || name == "starcoder" || name == "refact" ||
      name == "command-r" || name == "codeshell") {
    return {digits_step(true), gpt2_step()};
  }
  if (name == "llama-bpe" || name == "llama3" || name == "llama-v3") {
    return {split_step(str(kCased, R"(|\p{N}{1,3})", kMarksAndSpaces))};
  }
  if (name == "qwen2") {
    return {split_step(str(kCased, R"(|\p{N})", kMarksAndSpaces))};
  }
  if (name == "default") {  // llama.cpp's, where a file names none
    return {split_step(R"([\p{P}$+<=>^~|]+)"), gpt2_step(), digits_step(false),
            split_step("[0-9][0-9][0-9]")};
  }
  throw Error(
      ErrorKind::kInput,
      str(where,
          ": expected a pre-tokenizer out of gpt2, smollm, "
          "starcoder, llama-bpe, qwen2 and default, found '",
          shown(name), "'; use the model's HF folder with tokenizer.json"));
}

PreTokenizer::PreTokenizer(std::vector<PreTokenizerStep> steps,
                           const std::string& where)
    : where_(where) {
  for (PreTokenizerStep& options : steps) {
    Step step;
    if (options.kind == PreTokenizerStep::Kind::kSplit) {
      step.code = compile(options.pattern, where);
    }
    step.options = std::move(options);
    steps_.push_back(std::move(step));
  }
}
PreTokenizer::~PreTokenizer() = default;
PreTokenizer::PreTokenizer(PreTokenizer&&) noexcept = default;

void PreTokenizer::split(std::string_view text,
                         const std::function<void(std::string_view)>& word,
                         bool continues) const {
  Run run{{}, {}, word, continues};
  run.context.reset(pcre2_match_context_create(nullptr));
  constexpr uint32_t kHeapLimitKib = 1 << 20;
  if (run.context) pcre2_set_heap_limit(run.context.get(), kHeapLimitKib);
  for (const Step& step : steps_) {
    run.data.emplace_back(step.code ? pcre2_match_data_create(1, nullptr)
                                    : nullptr);
    if (!run.context || (step.code && !run.data.back())) {
      throw std::bad_alloc();
    }
  }
  for_each_utf8_run(text, [&](std::string_view stretch, bool valid) {
    if (valid) {
      apply(0, stretch, run);
    } else {
      word(stretch);
    }
    run.continues = false;
  });
}

void PreTokenizer::apply(size_t index, std::string_view text, Run& run) const {
  if (index == steps_.size()) return run.word(text);
  const Step& step = steps_[index];
  if (step.options.kind == PreTokenizerStep::Kind::kPrefixSpace) {
    if (text.starts_with(' ') || (run.continues && index == 0)) {
      return apply(index + 1, text, run);
    }
    return apply(index + 1, str(' ', text), run);
  }
  const Cutter::Emit emit = [&](std::string_view word) {
    apply(index + 1, word, run);
  };
  Cutter cutter(text, step.options.behavior, emit);
  constexpr size_t kLimitBase = 1'000'000;
  constexpr size_t kLimitPerByte = 32;
  const size_t limit = kLimitBase + kLimitPerByte * text.size();
  pcre2_set_match_limit(
      run.context.get(),
      static_cast<uint32_t>(std::min<size_t>(limit, UINT32_MAX)));
  SliceCounter slices;
  size_t done = 0;  // [0, done) is with the cutter
  for (size_t from = 0; from <= text.size();) {
    const int found = pcre2_match(
        step.code.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(),
        from, PCRE2_NO_UTF_CHECK, run.data[index].get(), run.context.get());
    if (found == PCRE2_ERROR_NOMATCH) break;
    slices.count();
    if (found < 0) {
      throw Error(ErrorKind::kInput,
                  str(where_,
                      ": expected text that the pre-tokenizer can cut "
                      "in linear time, found a pattern that gave up (",
                      pcre2_message(found), "); shorten the text"));
    }
    const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer(run.data[index].get());
    const size_t begin = bounds[0];
    const size_t end = bounds[1];
    if (end <= begin) {  // an empty match cuts nothing
      if (begin >= text.size()) break;
      from = begin + utf8_char(text, begin).length;
      continue;
    }
    if (begin > done) cutter.add(begin, step.options.invert);
    cutter.add(end, !step.options.invert);
    done = from = end;
  }
  if (done < text.size()) cutter.add(text.size(), step.options.invert);
  cutter.finish();
}

}  // namespace selfalign::text
