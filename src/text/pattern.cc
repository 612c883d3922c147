// SPDX-License-Identifier: Apache-2.0
#include "text/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <array>
#include <new>

#include "base/error.h"
#include "base/shown.h"
#include "text/unicode.h"

namespace selfalign::text {
namespace {

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

std::string pcre2_message(int error) {
  std::array<PCRE2_UCHAR, 256> text{};
  pcre2_get_error_message(error, text.data(), text.size());
  return reinterpret_cast<const char*>(text.data());
}

}  // namespace

struct Pattern::Code {
  std::unique_ptr<pcre2_code, FreeCode> plain;
  std::unique_ptr<pcre2_code, FreeCode> newer;  // for newer characters
};

struct Pattern::Scratch::Parts {
  std::unique_ptr<pcre2_match_data, FreeMatch> data;
  std::unique_ptr<pcre2_match_context, FreeContext> context;
};

Pattern::Scratch::Scratch() : parts_(std::make_unique<Parts>()) {
  constexpr uint32_t kHeapLimitKib = 1 << 20;
  parts_->data.reset(pcre2_match_data_create(1, nullptr));
  parts_->context.reset(pcre2_match_context_create(nullptr));
  if (!parts_->data || !parts_->context) throw std::bad_alloc();
  pcre2_set_heap_limit(parts_->context.get(), kHeapLimitKib);
}
Pattern::Scratch::~Scratch() = default;
Pattern::Scratch::Scratch(Scratch&&) noexcept = default;

Pattern::Pattern(const std::string& pattern, const std::string& where)
    : code_(std::make_unique<Code>()), where_(where) {
  for (const bool newer : {false, true}) {
    const std::string translated = to_pcre2(pattern, newer, where);
    int error = 0;
    PCRE2_SIZE offset = 0;
    // Oniguruma's ^ and $ are those of lines.
    pcre2_code* const code = pcre2_compile(
        reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
        PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C,
        &error, &offset, nullptr);
    (newer ? code_->newer : code_->plain).reset(code);
    if (code != nullptr) continue;
    throw Error(ErrorKind::kInput,
                str(where,
                    ": expected a pattern that PCRE2 understands as Oniguruma "
                    "does, found ",
                    pcre2_message(error), " in '", shown(pattern),
                    "'; use a model whose tokenizer is supported"));
  }
}
Pattern::~Pattern() = default;
Pattern::Pattern(Pattern&&) noexcept = default;

bool Pattern::match(Search& search) const {
  pcre2_match_data* data = search.scratch_.parts_->data.get();
  const auto& code = search.newer_ ? code_->newer : code_->plain;
  const int found =
      pcre2_match(code.get(), reinterpret_cast<PCRE2_SPTR>(search.text_.data()),
                  search.text_.size(), search.from_, PCRE2_NO_UTF_CHECK, data,
                  search.scratch_.parts_->context.get());
  if (found == PCRE2_ERROR_NOMATCH) return false;
  if (found < 0) {
    throw Error(ErrorKind::kInput,
                str(where_,
                    ": expected text that the tokenizer's patterns can go "
                    "through in linear time, found a pattern that gave up (",
                    pcre2_message(found), "); shorten the text"));
  }
  const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer(data);
  search.begin_ = bounds[0];
  search.end_ = std::max(bounds[0], bounds[1]);  // \K may turn them around
  return true;
}

Pattern::Search::Search(const Pattern& pattern, std::string_view text,
                        Scratch& scratch)
    : pattern_(pattern),
      text_(text),
      scratch_(scratch),
      newer_(has_newer_characters(text)) {
  constexpr size_t kLimitBase = 1'000'000;
  constexpr size_t kLimitPerByte = 32;
  const size_t limit = kLimitBase + kLimitPerByte * text.size();
  pcre2_set_match_limit(
      scratch.parts_->context.get(),
      static_cast<uint32_t>(std::min<size_t>(limit, UINT32_MAX)));
}

bool Pattern::Search::next() {
  const size_t before = end_;
  while (from_ <= text_.size() && pattern_.match(*this)) {
    if (begin_ == end_ && has_match_ && end_ == before) {
      from_ += from_ < text_.size() ? utf8_char(text_, from_).length : 1;
      continue;
    }
    from_ = end_;
    has_match_ = true;
    return true;
  }
  return false;
}

}  // namespace selfalign::text
