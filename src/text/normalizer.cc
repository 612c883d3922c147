// SPDX-License-Identifier: Apache-2.0
#include "text/normalizer.h"

#include <algorithm>

#include "base/error.h"
#include "base/slices.h"
#include "text/alphabet.h"
#include "text/reference_forms.h"
#include "text/replace.h"
#include "text/token_bound.h"

namespace selfalign::text {
namespace {

// `text` with each character as `change` has it: change(code, out) appends.
template <typename Change>
std::string map_characters(std::string_view text, Change change) {
  std::string out;
  out.reserve(text.size());
  SliceCounter slices;
  for (size_t pos = 0; pos < text.size();) {
    slices.count();
    const Utf8Char next = utf8_char(text, pos);
    if (next.code < 0) {
      out.append(text, pos, next.length);
    } else {
      change(next.code, out);
    }
    pos += next.length;
  }
  return out;
}

void append_nmt(int32_t code, std::string& out) {
  const bool control = (code >= 0x01 && code <= 0x08) || code == 0x0B ||
                       (code >= 0x0E && code <= 0x1F) || code == 0x7F ||
                       code == 0x8F || code == 0x9F;
  const bool space =
      code == '\t' || code == '\n' || code == 0x0C || code == '\r' ||
      code == 0x1680 || (code >= 0x200B && code <= 0x200F) || code == 0x2028 ||
      code == 0x2029 || code == 0x2581 || code == 0xFEFF || code == 0xFFFD;
  if (control) return;
  append_utf8(out, space ? ' ' : code);
}

void append_clean(int32_t code, std::string& out) {
  const bool breaks = code == '\t' || code == '\n' || code == '\r';
  if (code == 0 || code == 0xFFFD || (!breaks && reference_is_other(code)))
    return;
  append_utf8(out, is_space(code) ? ' ' : code);
}

bool is_bert_han(int32_t code) {
  return (code >= 0x4E00 && code <= 0x9FFF) ||
         (code >= 0x3400 && code <= 0x4DBF) ||
         (code >= 0x20000 && code <= 0x2A6DF) ||
         (code >= 0x2A700 && code <= 0x2B81F) ||
         (code >= 0x2B920 && code <= 0x2CEAF) ||
         (code >= 0xF900 && code <= 0xFAFF) ||
         (code >= 0x2F800 && code <= 0x2FA1F);
}

size_t strip_begin(const NormalizerStep& step, std::string_view text) {
  size_t begin = 0;
  while (step.left && begin < text.size()) {
    const Utf8Char next = utf8_char(text, begin);
    if (next.code < 0 || !is_space(next.code)) break;
    begin += next.length;
  }
  return begin;
}

std::string strip(const NormalizerStep& step, std::string_view text,
                  Begins begins) {
  const size_t begin = begins == Begins::kInText ? 0 : strip_begin(step, text);
  size_t end = text.size();
  while (step.right && end > begin) {
    const size_t last = char_before(text, end);
    const Utf8Char next = utf8_char(text, last);
    if (next.code < 0 || !is_space(next.code)) break;
    end = last;
  }
  return std::string(text.substr(begin, end - begin));
}

void append_by_table(const Charsmap& table, std::string_view grapheme,
                     std::string& out) {
  constexpr size_t kLongGrapheme = 6;
  if (grapheme.size() < kLongGrapheme) {
    if (const auto found = table.shortest(grapheme)) {
      out += found->replacement;
      return;
    }
  }
  SliceCounter slices;
  for (size_t pos = 0; pos < grapheme.size();) {
    slices.count();
    const std::string_view part =
        grapheme.substr(pos, utf8_char(grapheme, pos).length);
    const auto found = table.shortest(part);
    out += found ? found->replacement : part;
    pos += part.size();
  }
}

// Among these each is a grapheme, but for "\r\n".
bool is_ascii(char c) { return static_cast<unsigned char>(c) < 0x80; }

// Graphemes below six bytes as a whole where the table has an entry that they
// begin with, all else by character.
std::string map_by_table(const Charsmap& table, std::string_view text) {
  std::string out;
  out.reserve(text.size());
  SliceCounter slices;
  const auto map_mixed = [&](std::string_view mixed) {
    for_each_utf8_run(mixed, [&](std::string_view run, bool valid) {
      if (!valid) {
        out += run;
        return;
      }
      for_each_grapheme(run, [&](std::string_view grapheme) {
        slices.count();
        append_by_table(table, grapheme, out);
      });
    });
  };
  size_t done = 0;
  for (size_t pos = 0; pos < text.size(); ++pos) {
    // A character that is a grapheme by itself.
    const bool alone = is_ascii(text[pos]) &&
                       (pos == 0 || is_ascii(text[pos - 1])) &&
                       (pos + 1 == text.size() || is_ascii(text[pos + 1])) &&
                       text[pos] != '\r' && text[pos] != '\n';
    if (!alone) continue;
    if (pos > done) map_mixed(text.substr(done, pos - done));
    done = pos + 1;
    slices.count();
    if (const auto& found =
            table.of_ascii(static_cast<unsigned char>(text[pos]))) {
      out += found->replacement;
    } else {
      out += text[pos];
    }
  }
  if (done < text.size()) map_mixed(text.substr(done));
  return out;
}

}  // namespace

Normalizer::Normalizer(std::vector<NormalizerStep> steps,
                       const std::string& where)
    : where_(where) {
  for (NormalizerStep& options : steps) {
    Step step;
    if (options.kind == NormalizerStep::Kind::kReplace &&
        (options.is_regex || options.pattern.empty())) {
      step.pattern = std::make_unique<const Pattern>(options.pattern, where);
    }
    step.options = std::move(options);
    steps_.push_back(std::move(step));
  }
}

void Normalizer::check_growth(size_t before, size_t after) const {
  constexpr size_t kSome = 4096;
  if (after <= kMaxGrowth * before + kSome) return;
  throw Error(ErrorKind::kInput,
              str(where_, ": expected normalizers that make at most ",
                  kMaxGrowth, " bytes of one, found ", after, " of ", before,
                  "; use a model whose tokenizer is supported"));
}

// To the reference a text whose first character is gone, or was replaced
// together with the next, does not begin where the text did.
std::string Normalizer::apply(std::string_view text, Begins& begins) const {
  std::string normal(text);
  size_t first = text.empty() ? 0 : utf8_char(text, 0).length;
  for (const Step& step : steps_) {
    std::string next = apply(step, normal, begins);
    if (begins == Begins::kText) {
      first = std::min(first_after(step, normal, next, first), next.size());
      if (first == 0 && !normal.empty()) begins = Begins::kAfterToken;
    }
    normal = std::move(next);
    check_growth(text.size(), normal.size());
    end_slice();
  }
  return normal;
}

size_t Normalizer::first_after(const Step& step, std::string_view text,
                               std::string_view next, size_t first) const {
  const NormalizerStep& options = step.options;
  using Kind = NormalizerStep::Kind;
  const auto mapped = [&](std::string_view part) {
    return apply(step, part, Begins::kText).size();
  };
  switch (options.kind) {
    case Kind::kForm:
    case Kind::kCharsmap:
      // What it is decomposed to, or composed with those behind it.
      return std::max(mapped(text.substr(0, first)),
                      next.empty() ? 0 : size_t(utf8_char(next, 0).length));
    case Kind::kStrip:
      return first - std::min(first, strip_begin(options, text));
    case Kind::kPrepend:
      return first + (text.empty() ? 0 : options.content.size());
    case Kind::kReplace: {
      const size_t length =
          match_at_begin(text, step.pattern.get(), options.pattern);
      if (length > first) return 0;
      return first - length + (length > 0 ? options.content.size() : 0);
    }
    default:
      return mapped(text.substr(0, first));
  }
}

std::string Normalizer::apply(const Step& step, std::string_view text,
                              Begins begins) const {
  const NormalizerStep& options = step.options;
  using Kind = NormalizerStep::Kind;
  switch (options.kind) {
    case Kind::kForm:
      return reference_form(text, options.form);
    case Kind::kStripAccents:
      return map_characters(text, [](int32_t code, std::string& out) {
        if (!reference_is_mark(code)) append_utf8(out, code);
      });
    case Kind::kStrip:
      return strip(options, text, begins);
    case Kind::kReplace:
      return replace(step, text);
    case Kind::kPrepend:
      return text.empty() || begins == Begins::kInText
                 ? std::string(text)
                 : str(options.content, text);
    case Kind::kNmt:
      return map_characters(text, append_nmt);
    case Kind::kCharsmap:
      return map_by_table(*options.charsmap, text);
    case Kind::kByteLevel:
      return bytes_to_alphabet(text);
    case Kind::kCleanText:
      return map_characters(text, append_clean);
    case Kind::kChineseChars:
      return map_characters(text, [](int32_t code, std::string& out) {
        const char* const space = is_bert_han(code) ? " " : "";
        out += space;
        append_utf8(out, code);
        out += space;
      });
    case Kind::kBertAccents:
      return map_characters(reference_form(text, TextForm::kNfd),
                            [](int32_t code, std::string& out) {
                              if (!reference_is_nonspacing(code))
                                append_utf8(out, code);
                            });
  }
  return std::string(text);
}

std::string Normalizer::replace(const Step& step, std::string_view text) const {
  SliceCounter slices;
  return replace_all(text, step.pattern.get(), step.options.pattern,
                     step.options.content, [&](size_t size) {
                       slices.count();
                       check_growth(text.size(), size);
                     });
}

size_t Normalizer::max_shrink() const {
  using Kind = NormalizerStep::Kind;
  size_t shrink = 1;
  for (const Step& step : steps_) {
    const NormalizerStep& options = step.options;
    const size_t content = options.content.size();
    switch (options.kind) {
      case Kind::kForm:
        shrink *= kMaxFormShrink;
        break;
      case Kind::kReplace:
        if (options.is_regex || content == 0) return 0;
        shrink *= std::max<size_t>(
            1, (options.pattern.size() + content - 1) / content);
        break;
      case Kind::kPrepend:
      case Kind::kByteLevel:
      case Kind::kChineseChars:
        break;
      default:
        return 0;
    }
    constexpr size_t kTooMuch = 1 << 16;
    if (shrink > kTooMuch) return 0;
  }
  return shrink;
}

}  // namespace selfalign::text
