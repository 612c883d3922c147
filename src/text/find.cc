// SPDX-License-Identifier: Apache-2.0
#include "text/find.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <array>
#include <new>

#include "base/error.h"

namespace selfalign::text {
namespace {

std::string message_of(int error) {
  std::array<PCRE2_UCHAR, 256> text{};
  pcre2_get_error_message(error, text.data(), text.size());
  return reinterpret_cast<const char*>(text.data());
}

PCRE2_SPTR units(std::string_view text) {
  return reinterpret_cast<PCRE2_SPTR>(text.data());
}

}  // namespace

struct Finder::Pattern {
  explicit Pattern(std::string what) : text(std::move(what)) {}
  ~Pattern() {
    pcre2_match_data_free(data);
    pcre2_match_context_free(context);
    pcre2_code_free(code);
  }
  Pattern(const Pattern&) = delete;
  Pattern& operator=(const Pattern&) = delete;

  std::string text;
  pcre2_code* code = nullptr;
  pcre2_match_data* data = nullptr;
  pcre2_match_context* context = nullptr;
};

Finder::~Finder() = default;
Finder::Finder(Finder&&) noexcept = default;

Finder::Finder(const std::string& text, bool is_regex)
    : pattern_(std::make_unique<Pattern>(text)) {
  if (text.empty()) {
    throw Error(ErrorKind::kUsage, "there is no text to look for; name it");
  }
  const uint32_t kind =
      is_regex ? PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C
               : PCRE2_LITERAL;
  int error = 0;
  PCRE2_SIZE offset = 0;
  pattern_->code =
      pcre2_compile(units(text), text.size(),
                    kind | PCRE2_UTF | PCRE2_CASELESS | PCRE2_MATCH_INVALID_UTF,
                    &error, &offset, nullptr);
  if (pattern_->code == nullptr) {
    throw Error(ErrorKind::kUsage,
                str("the regular expression is wrong at offset ", offset, ": ",
                    message_of(error), "; correct it"));
  }
  pattern_->data = pcre2_match_data_create(1, nullptr);
  pattern_->context = pcre2_match_context_create(nullptr);
  if (pattern_->data == nullptr || pattern_->context == nullptr) {
    throw std::bad_alloc();
  }
  constexpr uint32_t kMatchLimit = 1'000'000;
  constexpr uint32_t kHeapLimitKib = 1 << 16;
  pcre2_set_match_limit(pattern_->context, kMatchLimit);
  pcre2_set_heap_limit(pattern_->context, kHeapLimitKib);
}

std::optional<Hit> Finder::find(std::string_view text) const {
  const int found =
      pcre2_match(pattern_->code, units(text), text.size(), 0, PCRE2_NOTEMPTY,
                  pattern_->data, pattern_->context);
  if (found == PCRE2_ERROR_NOMATCH) return std::nullopt;
  if (found < 0) {
    throw Error(
        ErrorKind::kUsage,
        str("the regular expression takes too long (", message_of(found),
            "): ", pattern_->text, "; make it simpler"));
  }
  const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer(pattern_->data);
  if (bounds[1] <= bounds[0]) return std::nullopt;  // \K may turn them round
  return Hit{bounds[0], bounds[1] - bounds[0]};
}

}  // namespace selfalign::text
