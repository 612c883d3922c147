// SPDX-License-Identifier: Apache-2.0
// Oniguruma's patterns in PCRE2's syntax. A class becomes a set, or, where
// PCRE2 has no such set, alternatives and looks ahead at one character.
#include <algorithm>
#include <array>
#include <iterator>
#include <vector>

#include "base/error.h"
#include "base/shown.h"
#include "text/pattern.h"
#include "text/unicode.h"

namespace selfalign::text {
namespace {

struct NewCharacters {
  int32_t first, last;
  const char* category;
};
// What Unicode 15 and 16 added to the letters, marks, numbers, punctuation and
// symbols of Unicode 14, which PCRE2 10.42 knows; the reference knows them.
constexpr NewCharacters kNew[] = {
    {0x897, 0x897, "Mn"},     {0xCF3, 0xCF3, "Mc"},
    {0xECE, 0xECE, "Mn"},     {0x1B4E, 0x1B4F, "Po"},
    {0x1B7F, 0x1B7F, "Po"},   {0x1C89, 0x1C89, "Lu"},
    {0x1C8A, 0x1C8A, "Ll"},   {0x2427, 0x2429, "So"},
    {0x2FFC, 0x2FFF, "So"},   {0x31E4, 0x31E5, "So"},
    {0x31EF, 0x31EF, "So"},   {0xA7CB, 0xA7CC, "Lu"},
    {0xA7CD, 0xA7CD, "Ll"},   {0xA7DA, 0xA7DA, "Lu"},
    {0xA7DB, 0xA7DB, "Ll"},   {0xA7DC, 0xA7DC, "Lu"},
    {0x105C0, 0x105F3, "Lo"}, {0x10D40, 0x10D49, "Nd"},
    {0x10D4A, 0x10D4D, "Lo"}, {0x10D4E, 0x10D4E, "Lm"},
    {0x10D4F, 0x10D4F, "Lo"}, {0x10D50, 0x10D65, "Lu"},
    {0x10D69, 0x10D6D, "Mn"}, {0x10D6E, 0x10D6E, "Pd"},
    {0x10D6F, 0x10D6F, "Lm"}, {0x10D70, 0x10D85, "Ll"},
    {0x10D8E, 0x10D8F, "Sm"}, {0x10EC2, 0x10EC4, "Lo"},
    {0x10EFC, 0x10EFF, "Mn"}, {0x1123F, 0x11240, "Lo"},
    {0x11241, 0x11241, "Mn"}, {0x11380, 0x11389, "Lo"},
    {0x1138B, 0x1138B, "Lo"}, {0x1138E, 0x1138E, "Lo"},
    {0x11390, 0x113B5, "Lo"}, {0x113B7, 0x113B7, "Lo"},
    {0x113B8, 0x113BA, "Mc"}, {0x113BB, 0x113C0, "Mn"},
    {0x113C2, 0x113C2, "Mc"}, {0x113C5, 0x113C5, "Mc"},
    {0x113C7, 0x113CA, "Mc"}, {0x113CC, 0x113CD, "Mc"},
    {0x113CE, 0x113CE, "Mn"}, {0x113CF, 0x113CF, "Mc"},
    {0x113D0, 0x113D0, "Mn"}, {0x113D1, 0x113D1, "Lo"},
    {0x113D2, 0x113D2, "Mn"}, {0x113D3, 0x113D3, "Lo"},
    {0x113D4, 0x113D5, "Po"}, {0x113D7, 0x113D8, "Po"},
    {0x113E1, 0x113E2, "Mn"}, {0x116D0, 0x116E3, "Nd"},
    {0x11B00, 0x11B09, "Po"}, {0x11BC0, 0x11BE0, "Lo"},
    {0x11BE1, 0x11BE1, "Po"}, {0x11BF0, 0x11BF9, "Nd"},
    {0x11F00, 0x11F01, "Mn"}, {0x11F02, 0x11F02, "Lo"},
    {0x11F03, 0x11F03, "Mc"}, {0x11F04, 0x11F10, "Lo"},
    {0x11F12, 0x11F33, "Lo"}, {0x11F34, 0x11F35, "Mc"},
    {0x11F36, 0x11F3A, "Mn"}, {0x11F3E, 0x11F3F, "Mc"},
    {0x11F40, 0x11F40, "Mn"}, {0x11F41, 0x11F41, "Mc"},
    {0x11F42, 0x11F42, "Mn"}, {0x11F43, 0x11F4F, "Po"},
    {0x11F50, 0x11F59, "Nd"}, {0x11F5A, 0x11F5A, "Mn"},
    {0x1342F, 0x1342F, "Lo"}, {0x13440, 0x13440, "Mn"},
    {0x13441, 0x13446, "Lo"}, {0x13447, 0x13455, "Mn"},
    {0x13460, 0x143FA, "Lo"}, {0x16100, 0x1611D, "Lo"},
    {0x1611E, 0x16129, "Mn"}, {0x1612A, 0x1612C, "Mc"},
    {0x1612D, 0x1612F, "Mn"}, {0x16130, 0x16139, "Nd"},
    {0x16D40, 0x16D42, "Lm"}, {0x16D43, 0x16D6A, "Lo"},
    {0x16D6B, 0x16D6C, "Lm"}, {0x16D6D, 0x16D6F, "Po"},
    {0x16D70, 0x16D79, "Nd"}, {0x18CFF, 0x18CFF, "Lo"},
    {0x1B132, 0x1B132, "Lo"}, {0x1B155, 0x1B155, "Lo"},
    {0x1CC00, 0x1CCEF, "So"}, {0x1CCF0, 0x1CCF9, "Nd"},
    {0x1CD00, 0x1CEB3, "So"}, {0x1D2C0, 0x1D2D3, "No"},
    {0x1DF25, 0x1DF2A, "Ll"}, {0x1E030, 0x1E06D, "Lm"},
    {0x1E08F, 0x1E08F, "Mn"}, {0x1E4D0, 0x1E4EA, "Lo"},
    {0x1E4EB, 0x1E4EB, "Lm"}, {0x1E4EC, 0x1E4EF, "Mn"},
    {0x1E4F0, 0x1E4F9, "Nd"}, {0x1E5D0, 0x1E5ED, "Lo"},
    {0x1E5EE, 0x1E5EF, "Mn"}, {0x1E5F0, 0x1E5F0, "Lo"},
    {0x1E5F1, 0x1E5FA, "Nd"}, {0x1E5FF, 0x1E5FF, "Po"},
    {0x1F6DC, 0x1F6DC, "So"}, {0x1F774, 0x1F776, "So"},
    {0x1F77B, 0x1F77F, "So"}, {0x1F7D9, 0x1F7D9, "So"},
    {0x1F8B2, 0x1F8BB, "So"}, {0x1F8C0, 0x1F8C1, "So"},
    {0x1FA75, 0x1FA77, "So"}, {0x1FA87, 0x1FA89, "So"},
    {0x1FA8F, 0x1FA8F, "So"}, {0x1FAAD, 0x1FAAF, "So"},
    {0x1FABB, 0x1FABF, "So"}, {0x1FAC6, 0x1FAC6, "So"},
    {0x1FACE, 0x1FACF, "So"}, {0x1FADA, 0x1FADC, "So"},
    {0x1FADF, 0x1FADF, "So"}, {0x1FAE8, 0x1FAE9, "So"},
    {0x1FAF7, 0x1FAF8, "So"}, {0x1FBCB, 0x1FBEF, "So"},
    {0x2B739, 0x2B739, "Lo"}, {0x2EBF0, 0x2EE5D, "Lo"},
    {0x31350, 0x323AF, "Lo"},
};

// White space and word characters as Oniguruma has them; PCRE2's own \s and \w
// differ in a few characters.
constexpr const char* kSpaceSet = R"(\t-\r\x{85}\p{Z})";
constexpr const char* kWordSet =
    R"(\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}\x{24B6}-\x{24E9}\x{1F130}-\x{1F149})"
    R"(\x{1F150}-\x{1F169}\x{1F170}-\x{1F189})";
constexpr const char* kWordOutsideOfSets = R"(\x{B2}\x{B3}\x{B9}\x{BC}-\x{BE})";

constexpr int kMaxDepth = 32;  // of sets in sets

std::string hex(int32_t code) {
  constexpr const char* kDigits = "0123456789ABCDEF";
  std::string out;
  for (int shift = 20; shift >= 0; shift -= 4) {
    out += kDigits[code >> shift & 0xF];
  }
  return str("\\x{", out, "}");
}

// Ranges of the characters that are new in a category: "L", "Lu".
std::string new_in(const std::string& category) {
  std::string out;
  for (const NewCharacters& range : kNew) {
    if (!std::string_view(range.category).starts_with(category)) continue;
    out += hex(range.first);
    if (range.last != range.first) out += str("-", hex(range.last));
  }
  return out;
}

// What is one of the items of a set, or matches one of the others.
struct CharSet {
  std::string items;
  std::vector<std::string> others;

  bool empty() const { return items.empty() && others.empty(); }
  std::string expression() const {
    if (others.empty()) return items.empty() ? "(?!)" : str("[", items, "]");
    std::string out = "(?:";
    if (!items.empty()) out += str("[", items, "]|");
    for (size_t i = 0; i < others.size(); ++i) {
      out += (i > 0 ? "|" : "") + others[i];
    }
    return out + ")";
  }
  std::string negated() const {
    if (others.empty() && !items.empty()) return str("[^", items, "]");
    return str("(?:(?!", expression(), ")(?s:.))");
  }
};

// Of one set or more.
CharSet intersection(std::vector<CharSet> sets) {
  CharSet last = std::move(sets.back());
  sets.pop_back();
  if (sets.empty()) return last;
  std::string all = "(?:";
  for (const CharSet& set : sets) all += str("(?=", set.expression(), ")");
  return {"", {str(all, last.expression(), ")")}};
}

// Items of sets, with newer characters or without.
struct Items {
  bool newer;

  std::string added(const std::string& category) const {
    return newer ? new_in(category) : "";
  }
  std::string word(bool in_set) const {
    return str(kWordSet, in_set ? "" : kWordOutsideOfSets, added("L"),
               added("M"), added("Nd"));
  }
  std::string word_border(bool negated) const {
    const std::string set = str("[", word(false), "]");
    return str("(?:(?<=", set, negated ? ")(?=" : ")(?!", set, ")|(?<!", set,
               negated ? ")(?!" : ")(?=", set, "))");
  }
};

// "{1,3}+" is not possessive in Oniguruma, but one of them or more. "": another
// such thing, which PCRE2 has no words for.
std::string repeated(const std::string& interval) {
  if (interval.starts_with("{1,") || interval == "{1}") return "{1,}";
  const bool from_none =
      interval.starts_with("{0,") || interval.starts_with("{,");
  return from_none ? "{0,}" : "";
}

class Translator {
 public:
  Translator(const std::string& pattern, bool newer, const std::string& where)
      : pattern_(pattern), items_{newer}, where_(where) {}

  std::string translate() {
    std::string out;
    while (at_ < pattern_.size()) {
      const char c = pattern_[at_];
      if (c == '\\') {
        CharSet set;
        out += escape(set, false) ? set.expression() : taken_;
      } else if (c == '[') {
        out += set(0).expression();
      } else if (c == '(' && pattern_.compare(at_, 2, "(?") == 0) {
        out += group();
      } else if (c == '{') {
        out += interval();
      } else {
        out += c;
        ++at_;
      }
    }
    return out;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw Error(ErrorKind::kInput,
                str(where_,
                    ": expected a pattern that PCRE2 understands as Oniguruma "
                    "does, found ",
                    what, " in '", shown(pattern_),
                    "'; use a model whose tokenizer is supported"));
  }

  // A class in `out`, or false and the escape in taken_.
  bool escape(CharSet& out, bool in_set) {
    if (at_ + 1 >= pattern_.size()) fail("a \\ at the end");
    const char name = pattern_[at_ + 1];
    at_ += 2;
    const auto use = [&](const std::string& items, bool negated) {
      if (negated) {
        out.others.push_back(str("[^", items, "]"));
      } else {
        out.items += items;
      }
      return true;
    };
    switch (name) {
      case 's':
      case 'S':
        return use(kSpaceSet, name == 'S');
      case 'w':
      case 'W':
        return use(items_.word(in_set), name == 'W');
      case 'b':
      case 'B':
        taken_ = {'\\', name};
        if (!in_set) taken_ = items_.word_border(name == 'B');
        return false;
      case 'd':
      case 'D':
        return use("\\p{Nd}" + items_.added("Nd"), name == 'D');
      case 'h':
      case 'H':
        return use("0-9a-fA-F", name == 'H');
      case 'p':
      case 'P':
        return property(name == 'P', use);
      case 'u':
        return code_point();
      default:
        taken_ = {'\\', name};
        return false;
    }
  }

  template <typename Use>
  bool property(bool negated, const Use& use) {
    const size_t end = pattern_.find('}', at_);
    if (pattern_.compare(at_, 1, "{") != 0 || end == std::string::npos) {
      fail("\\p without {}");
    }
    std::string name = pattern_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    if (name.starts_with('^')) {
      negated = !negated;
      name.erase(0, 1);
    }
    for (const char c : name) {
      const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
      if (!letter && c != '_') fail(str("\\p{", name, "}"));
    }
    if (name.size() > 2) {  // PCRE2 has extensions of scripts by default
      return use(str("\\p{sc:", name, "}"), negated);
    }
    return use(str("\\p{", name, "}", items_.added(name)), negated);
  }

  // "\\u2581"
  bool code_point() {
    const std::string digits = pattern_.substr(at_, 4);
    const bool is_hex =
        digits.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos;
    if (digits.size() != 4 || !is_hex) {
      fail("\\u without four digits");
    }
    at_ += 4;
    taken_ = str("\\x{", digits, "}");
    return false;
  }

  // From a [ to behind its ].
  CharSet set(int depth) {
    if (depth > kMaxDepth) fail(str("more than ", kMaxDepth, " sets in sets"));
    ++at_;
    const bool negated = take("^");
    std::vector<CharSet> parts(1);  // of an intersection
    if (take("]")) parts.back().items += "\\]";
    while (!take("]")) {
      if (at_ >= pattern_.size()) fail("an open set");
      CharSet& part = parts.back();
      if (take("&&")) {
        parts.emplace_back();
      } else if (pattern_.compare(at_, 2, "[:") == 0) {
        const size_t end = pattern_.find(":]", at_);
        if (end == std::string::npos) fail("an open set");
        part.items += pattern_.substr(at_, end + 2 - at_);
        at_ = end + 2;
      } else if (pattern_[at_] == '[') {
        const CharSet inner = set(depth + 1);
        part.items += inner.items;
        part.others.insert(part.others.end(), inner.others.begin(),
                           inner.others.end());
      } else if (pattern_[at_] == '\\') {
        if (!escape(part, true)) part.items += taken_;
      } else {
        part.items += pattern_[at_++];
      }
    }
    const CharSet whole = intersection(std::move(parts));
    return negated ? CharSet{"", {whole.negated()}} : whole;
  }

  bool take(const std::string& text) {
    if (pattern_.compare(at_, text.size(), text) != 0) return false;
    at_ += text.size();
    return true;
  }

  // What follows "(?": options mean something else there but for i and x.
  std::string group() {
    size_t end = at_ + 2;
    while (end < pattern_.size() &&
           std::string_view("imsx-").find(pattern_[end]) !=
               std::string_view::npos) {
      ++end;
    }
    std::string options = pattern_.substr(at_ + 2, end - at_ - 2);
    if (end < pattern_.size() &&
        (pattern_[end] == ':' || pattern_[end] == ')')) {
      if (options.find('s') != std::string::npos) fail("the option s");
      std::replace(options.begin(), options.end(), 'm', 's');
    }
    at_ = end;
    return "(?" + options;
  }

  std::string interval() {
    const size_t end = pattern_.find_first_not_of("0123456789,", at_ + 1);
    if (end == std::string::npos || pattern_[end] != '}') {
      ++at_;
      return "{";
    }
    const std::string text = pattern_.substr(at_, end + 1 - at_);
    at_ = end + 1;
    if (!take("+")) return text;
    if (repeated(text).empty()) fail(str(text, "+"));
    return repeated(text);
  }

  const std::string& pattern_;
  const Items items_;
  const std::string& where_;
  size_t at_ = 0;
  std::string taken_;
};

}  // namespace

std::string to_pcre2(const std::string& pattern, bool newer,
                     const std::string& where) {
  return Translator(pattern, newer, where).translate();
}

bool has_newer_characters(std::string_view text) {
  for (size_t pos = 0; pos < text.size();) {
    const auto lead = static_cast<unsigned char>(text[pos]);
    if (lead < 0xE0) {  // none below U+0800
      ++pos;
      continue;
    }
    const Utf8Char next = utf8_char(text, pos);
    const auto* const range = std::lower_bound(
        std::begin(kNew), std::end(kNew), next.code,
        [](const NewCharacters& r, int32_t code) { return r.last < code; });
    if (range != std::end(kNew) && range->first <= next.code) return true;
    pos += next.length;
  }
  return false;
}

std::string quote_pattern(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool alphanumeric = (c >= '0' && c <= '9') ||
                              (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (byte < 0x80 && !alphanumeric && byte > ' ') out += '\\';
    out += c;
  }
  return out;
}

}  // namespace selfalign::text
