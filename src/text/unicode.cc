// SPDX-License-Identifier: Apache-2.0
#include "text/unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <vector>

#include "base/error.h"
#include "base/slices.h"

namespace selfalign::text {
namespace {

struct LeadByte {
  uint32_t length;          // of the whole sequence; 0: not a lead byte
  unsigned char low, high;  // bounds of the second byte
};

LeadByte lead_byte(unsigned char lead) {
  if (lead >= 0xC2 && lead <= 0xDF) return {2, 0x80, 0xBF};
  if (lead == 0xE0) return {3, 0xA0, 0xBF};
  if (lead == 0xED) return {3, 0x80, 0x9F};
  if (lead >= 0xE1 && lead <= 0xEF) return {3, 0x80, 0xBF};
  if (lead == 0xF0) return {4, 0x90, 0xBF};
  if (lead >= 0xF1 && lead <= 0xF3) return {4, 0x80, 0xBF};
  if (lead == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

utf8proc_category_t category(int32_t code) { return utf8proc_category(code); }

std::string lower_text(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t pos = 0; pos < text.size();) {
    const Utf8Char next = utf8_char(text, pos);
    if (next.code < 0) {
      out.append(text, pos, next.length);
    } else if (next.code == 0x130) {  // the one letter that becomes two
      out += "i\xCC\x87";
    } else {
      append_utf8(out, lower_char(next.code));
    }
    pos += next.length;
  }
  return out;
}

int form_options(TextForm form) {
  switch (form) {
    case TextForm::kNfc:
      return UTF8PROC_STABLE | UTF8PROC_COMPOSE;
    case TextForm::kNfd:
      return UTF8PROC_STABLE | UTF8PROC_DECOMPOSE;
    case TextForm::kNfkc:
      return UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT;
    default:
      return UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT;
  }
}

std::vector<int32_t> decompose(std::string_view text,
                               utf8proc_option_t options) {
  SliceCounter slices;
  std::vector<int32_t> codes;
  codes.reserve(text.size());
  std::array<int32_t, 32> parts;  // of one character; 18 are the most there are
  for (size_t pos = 0; pos < text.size();) {
    slices.count();
    const Utf8Char next = utf8_char(text, pos);
    const auto count = utf8proc_decompose_char(next.code, parts.data(),
                                               parts.size(), options, nullptr);
    if (count < 0 || count > static_cast<utf8proc_ssize_t>(parts.size())) {
      throw Error(ErrorKind::kFailed,
                  str("normalising text: ", utf8proc_errmsg(count)));
    }
    codes.insert(codes.end(), parts.begin(), parts.begin() + count);
    pos += next.length;
  }
  return codes;
}

// Canonical order (Unicode 3.11, D109): runs of marks by combining class.
// utf8proc's own sort takes the square of a run's length, which a client may
// choose.
void order_marks(std::vector<int32_t>& codes) {
  const auto combining = [](int32_t code) {
    return utf8proc_get_property(code)->combining_class;
  };
  for (auto begin = codes.begin(); begin != codes.end();) {
    const auto end = std::find_if(
        begin, codes.end(), [&](int32_t code) { return combining(code) == 0; });
    std::stable_sort(begin, end, [&](int32_t a, int32_t b) {
      return combining(a) < combining(b);
    });
    begin = end == codes.end() ? end : end + 1;
  }
}

}  // namespace

Utf8Char utf8_char(std::string_view text, size_t pos) {
  const auto byte_at = [&](size_t at) {
    return static_cast<unsigned char>(text[at]);
  };
  const unsigned char first = byte_at(pos);
  if (first < 0x80) return {first, 1};
  const LeadByte lead = lead_byte(first);
  if (lead.length == 0) return {-1, 1};
  int32_t code = first & (0xFF >> (lead.length + 1));
  for (uint32_t i = 1; i < lead.length; ++i) {
    if (pos + i >= text.size()) return {-1, i};
    const unsigned char byte = byte_at(pos + i);
    const bool fits = i == 1 ? byte >= lead.low && byte <= lead.high
                             : byte >= 0x80 && byte <= 0xBF;
    if (!fits) return {-1, i};
    code = code << 6 | (byte & 0x3F);
  }
  return {code, lead.length};
}

void append_utf8(std::string& out, int32_t code) {
  utf8proc_uint8_t bytes[4];
  const auto length = utf8proc_encode_char(code, bytes);
  out.append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(length));
}

size_t char_before(std::string_view text, size_t pos) {
  size_t begin = pos - 1;
  for (int back = 0; back < 3 && begin > 0; ++back) {
    if ((static_cast<unsigned char>(text[begin]) & 0xC0) != 0x80) break;
    --begin;
  }
  return begin;
}

void for_each_grapheme(std::string_view text,
                       const std::function<void(std::string_view)>& visit) {
  size_t begin = 0;
  int32_t before = -1;
  utf8proc_int32_t state = 0;
  for (size_t pos = 0; pos < text.size();) {
    const Utf8Char next = utf8_char(text, pos);
    if (before >= 0 &&
        utf8proc_grapheme_break_stateful(before, next.code, &state)) {
      visit(text.substr(begin, pos - begin));
      begin = pos;
    }
    before = next.code;
    pos += next.length;
  }
  if (begin < text.size()) visit(text.substr(begin));
}

bool is_letter(int32_t code) {
  const auto c = category(code);
  return c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_LO;
}
bool is_number(int32_t code) {
  const auto c = category(code);
  return c >= UTF8PROC_CATEGORY_ND && c <= UTF8PROC_CATEGORY_NO;
}
bool is_mark(int32_t code) {
  const auto c = category(code);
  return c >= UTF8PROC_CATEGORY_MN && c <= UTF8PROC_CATEGORY_ME;
}
bool is_nonspacing(int32_t code) {
  return category(code) == UTF8PROC_CATEGORY_MN;
}
bool is_other(int32_t code) {
  const auto c = category(code);
  return c == UTF8PROC_CATEGORY_CC || c == UTF8PROC_CATEGORY_CF ||
         c == UTF8PROC_CATEGORY_CO;
}
bool is_punctuation(int32_t code) {
  const auto c = category(code);
  return c >= UTF8PROC_CATEGORY_PC && c <= UTF8PROC_CATEGORY_PO;
}
bool is_symbol(int32_t code) {
  const auto c = category(code);
  return c >= UTF8PROC_CATEGORY_SM && c <= UTF8PROC_CATEGORY_SO;
}
bool is_word(int32_t code) {
  switch (category(code)) {
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
      return true;
    case UTF8PROC_CATEGORY_SO:  // circled and squared letters: Alphabetic
      return (code >= 0x24B6 && code <= 0x24E9) ||
             (code >= 0x1F130 && code <= 0x1F149) ||
             (code >= 0x1F150 && code <= 0x1F169) ||
             (code >= 0x1F170 && code <= 0x1F189);
    default:
      return is_letter(code) || is_mark(code) || code == 0x200C ||
             code == 0x200D;
  }
}
bool is_space(int32_t code) {
  if ((code >= '\t' && code <= '\r') || code == ' ' || code == 0x85) {
    return true;
  }
  const auto c = category(code);
  return c >= UTF8PROC_CATEGORY_ZS && c <= UTF8PROC_CATEGORY_ZP;
}
bool is_invisible(int32_t code) {
  constexpr int32_t kBlankBraille = 0x2800;
  return is_space(code) || category(code) == UTF8PROC_CATEGORY_CC ||
         category(code) == UTF8PROC_CATEGORY_CF ||
         utf8proc_get_property(code)->ignorable || code == kBlankBraille;
}
bool is_blank(std::string_view text) {
  for (size_t pos = 0; pos < text.size();) {
    const Utf8Char next = utf8_char(text, pos);
    if (next.code < 0 || !is_invisible(next.code)) return false;
    pos += next.length;
  }
  return true;
}
bool is_unspaced(int32_t code) {
  return (code >= 0x3040 && code <= 0x30FF) ||
         (code >= 0x3400 && code <= 0x4DBF) ||
         (code >= 0x4E00 && code <= 0x9FFF) ||
         (code >= 0xF900 && code <= 0xFAFF) ||
         (code >= 0x20000 && code <= 0x3FFFF);
}

int32_t lower_char(int32_t code) { return utf8proc_tolower(code); }

std::string to_form(std::string_view text, TextForm form) {
  if (form == TextForm::kLower) return lower_text(text);
  const auto options = static_cast<utf8proc_option_t>(form_options(form));
  std::string out;
  for_each_utf8_run(text, [&](std::string_view run, bool valid) {
    if (!valid) {
      out += run;
      return;
    }
    std::vector<int32_t> codes = decompose(run, options);
    order_marks(codes);
    end_slice();
    const auto length = utf8proc_normalize_utf32(
        codes.data(), static_cast<utf8proc_ssize_t>(codes.size()), options);
    for (utf8proc_ssize_t i = 0; i < length; ++i) {
      append_utf8(out, codes[static_cast<size_t>(i)]);
    }
  });
  return out;
}

}  // namespace selfalign::text
