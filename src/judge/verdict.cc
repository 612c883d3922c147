// SPDX-License-Identifier: Apache-2.0
#include "judge/verdict.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "base/error.h"
#include "base/number.h"
#include "text/words.h"

namespace selfalign::judge {
namespace {

constexpr std::array<const char*, 4> kNames = {"none", "first", "second",
                                               "tie"};

// A whole decimal number, without sign or exponent.
std::optional<double> number_in(std::string_view text) {
  if (text.empty() || text.size() > 8 ||
      !std::all_of(text.begin(), text.end(), [](char c) {
        return std::isdigit(static_cast<unsigned char>(c)) != 0 || c == '.';
      })) {
    return std::nullopt;
  }
  return parse_number<double>(text);
}

// The last number between `open` and `close`.
std::optional<double> last_number(std::string_view text, std::string_view open,
                                  std::string_view close) {
  for (size_t end = text.rfind(close); end != std::string_view::npos;
       end = end == 0 ? std::string_view::npos : text.rfind(close, end - 1)) {
    const std::string_view before = text.substr(0, end);
    const size_t begin = before.rfind(open);
    if (begin == std::string_view::npos) return std::nullopt;
    if (auto number = number_in(text::trim(before.substr(begin + open.size()))))
      return number;
  }
  return std::nullopt;
}

// The mark that stands last in the text; marks.size() if there is none.
template <size_t N>
size_t last_mark(std::string_view text,
                 const std::array<std::string_view, N>& marks) {
  size_t found = N;
  size_t place = 0;
  for (size_t i = 0; i < N; ++i) {
    const size_t at = text.rfind(marks[i]);
    if (at == std::string_view::npos || (found < N && at < place)) continue;
    found = i;
    place = at;
  }
  return found;
}

}  // namespace

const char* verdict_name(Verdict verdict) {
  return kNames[static_cast<size_t>(verdict)];
}

Verdict verdict_from_name(const std::string& name) {
  const auto found = std::find(kNames.begin(), kNames.end(), name);
  if (found != kNames.end()) {
    return static_cast<Verdict>(found - kNames.begin());
  }
  throw Error(ErrorKind::kInput,
              str("verdict: expected none, first, second or tie, found '",
                  name.substr(0, 40), "'; judge again"));
}

Verdict swapped(Verdict verdict) {
  if (verdict == Verdict::kFirst) return Verdict::kSecond;
  if (verdict == Verdict::kSecond) return Verdict::kFirst;
  return verdict;
}

Verdict parse_pair(std::string_view text) {
  constexpr std::array<std::string_view, 3> kMarks = {"[[A]]", "[[B]]",
                                                      "[[C]]"};
  constexpr std::array<Verdict, 4> kVerdicts = {
      Verdict::kFirst, Verdict::kSecond, Verdict::kTie, Verdict::kNone};
  return kVerdicts[last_mark(text, kMarks)];
}

std::optional<double> parse_rating(std::string_view text) {
  std::optional<double> rating = last_number(text, "[[", "]]");
  if (!rating) rating = last_number(text, "[", "]");
  if (rating && (*rating < 1.0 || *rating > 10.0)) return std::nullopt;
  return rating;
}

std::optional<bool> parse_yes_no(std::string_view text) {
  const std::string lower = text::to_lower(text::trim(text));
  constexpr std::array<std::string_view, 2> kMarks = {"[[yes]]", "[[no]]"};
  const size_t mark = last_mark(lower, kMarks);
  if (mark < kMarks.size()) return mark == 0;
  const auto starts_with = [&](std::string_view word) {
    return lower.starts_with(word) &&
           (lower.size() == word.size() ||
            std::isalnum(static_cast<unsigned char>(lower[word.size()])) == 0);
  };
  if (starts_with("yes")) return true;
  if (starts_with("no")) return false;
  return std::nullopt;
}

}  // namespace selfalign::judge
