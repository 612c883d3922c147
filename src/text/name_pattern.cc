// SPDX-License-Identifier: Apache-2.0
#include "text/name_pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <array>
#include <utility>

#include "base/error.h"
#include "base/shown.h"

namespace selfalign::text {
namespace {

// Enough for the names of modules; a pattern that needs more is made to hang.
constexpr uint32_t kMatchLimit = 100'000;

std::string message_of(int error) {
  std::array<PCRE2_UCHAR, 256> text{};
  pcre2_get_error_message(error, text.data(), text.size());
  return reinterpret_cast<const char*>(text.data());
}

}  // namespace

struct NamePattern::Code {
  pcre2_code* code = nullptr;
  pcre2_match_data* match = nullptr;
  pcre2_match_context* context = nullptr;
  Code() = default;
  Code(const Code&) = delete;
  Code& operator=(const Code&) = delete;
  ~Code() {
    pcre2_code_free(code);
    pcre2_match_data_free(match);
    pcre2_match_context_free(context);
  }
};

NamePattern::NamePattern(const std::string& pattern, std::string where)
    : code_(std::make_unique<Code>()), where_(std::move(where)) {
  int error = 0;
  PCRE2_SIZE offset = 0;
  code_->code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()),
                              pattern.size(),
                              PCRE2_UTF | PCRE2_UCP | PCRE2_ANCHORED |
                                  PCRE2_ENDANCHORED | PCRE2_NEVER_BACKSLASH_C,
                              &error, &offset, nullptr);
  if (code_->code == nullptr) {
    throw Error(ErrorKind::kInput, str(where_, ": the pattern ", shown(pattern),
                                       " is no regular expression: at offset ",
                                       offset, ": ", message_of(error)));
  }
  code_->match = pcre2_match_data_create(1, nullptr);
  code_->context = pcre2_match_context_create(nullptr);
  SELFALIGN_CHECK(code_->match != nullptr && code_->context != nullptr,
                  "memory for a pattern");
  pcre2_set_match_limit(code_->context, kMatchLimit);
}

NamePattern::~NamePattern() = default;
NamePattern::NamePattern(NamePattern&&) noexcept = default;

bool NamePattern::matches(std::string_view text) const {
  const int found =
      pcre2_match(code_->code, reinterpret_cast<PCRE2_SPTR>(text.data()),
                  text.size(), 0, 0, code_->match, code_->context);
  if (found == PCRE2_ERROR_NOMATCH) return false;
  if (found < 0) {
    throw Error(ErrorKind::kInput,
                str(where_, ": a pattern cannot be matched with ", shown(text),
                    ": ", message_of(found)));
  }
  return true;
}

}  // namespace selfalign::text
