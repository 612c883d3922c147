// SPDX-License-Identifier: Apache-2.0
#include "generate/secret.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "base/number.h"

namespace selfalign::generate {
namespace {

constexpr size_t kGram = 8;  // as many bytes as fit into a number
constexpr size_t kMinShort = 4;
constexpr char kInPlace[] = "[key]";

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::string lowered(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), lower);
  return text;
}

std::string hex_of(std::string_view text) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  for (const char c : text) {
    hex += kDigits[static_cast<unsigned char>(c) >> 4];
    hex += kDigits[static_cast<unsigned char>(c) & 15];
  }
  return hex;
}

// The characters of base64 (RFC 4648, section 4) that `text` alone decides
// where it stands behind `before` other bytes.
std::string base64_of(std::string_view text, size_t before) {
  constexpr char kAlphabet[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const size_t first = (before * 8 + 5) / 6;
  const size_t end = (before + text.size()) * 8 / 6;
  std::string out;
  for (size_t i = first; i < end; ++i) {
    uint32_t value = 0;
    for (size_t bit = i * 6 - before * 8, k = 0; k < 6; ++k, ++bit) {
      const auto byte = static_cast<unsigned char>(text[bit / 8]);
      value = value << 1 | (byte >> (7 - bit % 8) & 1);
    }
    out += kAlphabet[value];
  }
  return out;
}

// The number that `count` digits at `at` spell, if it is an ASCII character.
std::optional<char> ascii_at(std::string_view text, size_t at, size_t count,
                             int base) {
  if (at + count > text.size() || count == 0) return std::nullopt;
  const auto code = parse_digits(text.substr(at, count), base, 0x7f);
  if (!code) return std::nullopt;
  return static_cast<char>(*code);
}

struct Unescaped {
  char character;
  size_t length;  // of the escape
};

// "\u0041", "\/"; of several backslashes JSON within JSON has made more.
Unescaped json_escape(std::string_view text, size_t at) {
  const size_t letter = std::min(text.find_first_not_of('\\', at), text.size());
  if (letter == text.size()) return {'\\', letter - at};
  if (text[letter] == 'u') {
    if (const auto c = ascii_at(text, letter + 1, 4, 16)) {
      return {*c, letter + 5 - at};
    }
  }
  return {text[letter], letter + 1 - at};
}

// "%41", and "%2541", which was escaped twice.
std::optional<Unescaped> url_escape(std::string_view text, size_t at) {
  size_t digits = at + 1;
  while (text.substr(digits, 2) == "25" && ascii_at(text, digits + 2, 2, 16)) {
    digits += 2;
  }
  const auto c = ascii_at(text, digits, 2, 16);
  if (!c) return std::nullopt;
  return Unescaped{*c, digits + 2 - at};
}

// "&#65;", "&#x41;", and "&amp;#65;".
std::optional<Unescaped> html_escape(std::string_view text, size_t at) {
  size_t mark = at + 1;
  while (text.substr(mark, 4) == "amp;") mark += 4;
  if (text.substr(mark, 1) != "#") return std::nullopt;
  const bool is_hex =
      lower(text.substr(mark + 1, 1).empty() ? '\0' : text[mark + 1]) == 'x';
  const size_t digits = mark + (is_hex ? 2 : 1);
  const size_t end = text.find(';', digits);
  if (end == std::string_view::npos || end - digits > 8) return std::nullopt;
  const auto c = ascii_at(text, digits, end - digits, is_hex ? 16 : 10);
  if (!c) return std::nullopt;
  return Unescaped{*c, end + 1 - at};
}

Unescaped unescape_at(std::string_view text, size_t at) {
  std::optional<Unescaped> found;
  if (text[at] == '\\') found = json_escape(text, at);
  if (text[at] == '%') found = url_escape(text, at);
  if (text[at] == '&') found = html_escape(text, at);
  return found.value_or(Unescaped{text[at], 1});
}

size_t hash(uint64_t gram) {
  return static_cast<size_t>(gram * 0x9e3779b97f4a7c15U >> 48);
}

}  // namespace

void Secret::Grams::add(std::string_view form, size_t size) {
  for (size_t i = 0; i + size <= form.size(); ++i) {
    uint64_t gram = 0;
    for (const char c : form.substr(i, size)) {
      gram = gram << 8 | static_cast<unsigned char>(c);
    }
    all.push_back(gram);
    some.set(hash(gram));
  }
}

void Secret::Grams::sort() { std::sort(all.begin(), all.end()); }

bool Secret::Grams::has(uint64_t gram) const {
  return some.test(hash(gram)) &&
         std::binary_search(all.begin(), all.end(), gram);
}

Secret::Secret(std::string value) : value_(std::move(value)) {
  const bool is_word = std::all_of(value_.begin(), value_.end(), is_letter);
  if (value_.size() < (is_word ? kGram : kMinShort)) return;
  size_ = std::min(value_.size(), kGram);
  any_case_.add(lowered(value_), size_);
  if (size_ == kGram) {
    any_case_.add(hex_of(value_), size_);
    for (const size_t before : {0, 1, 2}) {
      std::string form = base64_of(value_, before);
      exact_.add(form, size_);
      std::replace(form.begin(), form.end(), '+', '-');
      std::replace(form.begin(), form.end(), '/', '_');
      exact_.add(form, size_);
    }
  }
  any_case_.sort();
  exact_.sort();
}

void Secret::mark(std::string_view text, bool unescape,
                  std::vector<std::pair<size_t, size_t>>& ranges) const {
  const uint64_t mask =
      size_ == kGram ? ~uint64_t{0} : (uint64_t{1} << (8 * size_)) - 1;
  uint64_t exact = 0, any_case = 0;
  std::array<size_t, kGram> begins{};  // of the last characters
  size_t count = 0;
  for (size_t at = 0; at < text.size(); ++count) {
    const Unescaped next =
        unescape ? unescape_at(text, at) : Unescaped{text[at], 1};
    begins[count % kGram] = at;
    at += next.length;
    exact = exact << 8 | static_cast<unsigned char>(next.character);
    any_case =
        any_case << 8 | static_cast<unsigned char>(lower(next.character));
    if (count + 1 < size_ ||
        (!exact_.has(exact & mask) && !any_case_.has(any_case & mask))) {
      continue;
    }
    ranges.emplace_back(begins[(count + 1 - size_) % kGram], at);
  }
}

std::string Secret::cut_from(std::string_view text) const {
  std::vector<std::pair<size_t, size_t>> ranges;
  if (size_ > 0) {
    mark(text, false, ranges);
    mark(text, true, ranges);
  }
  std::sort(ranges.begin(), ranges.end());
  std::string out;
  size_t end = 0;  // of what is taken or cut
  for (size_t i = 0; i < ranges.size();) {
    out += text.substr(end, ranges[i].first - end);
    out += kInPlace;
    end = ranges[i].second;
    for (++i; i < ranges.size() && ranges[i].first <= end; ++i) {
      end = std::max(end, ranges[i].second);
    }
  }
  out += text.substr(std::min(end, text.size()));
  return out;
}

size_t Secret::num_settled(std::string_view text) const {
  if (size_ == 0) return text.size();
  const std::string key = lowered(value_);
  size_t held = std::min(key.size(), text.size());
  while (key.find(lowered(std::string(text.substr(text.size() - held)))) ==
         std::string::npos) {
    --held;  // the empty end is in every key
  }
  return text.size() - held;
}

}  // namespace selfalign::generate
