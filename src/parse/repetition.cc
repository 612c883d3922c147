// SPDX-License-Identifier: Apache-2.0
#include "parse/repetition.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdint>
#include <set>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/hash.h"
#include "text/rouge.h"
#include "text/words.h"

namespace selfalign::parse {
namespace {

using Words = std::vector<std::string>;

enum class Kind { kSentence, kItem, kRow, kCode };

struct Unit {
  Kind kind;
  Words words;
};

bool is_formal(const Unit& unit) {
  return unit.kind == Kind::kRow || unit.kind == Kind::kCode;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// "Step 3:", also with text after it: the length of that; 0 if it is not there.
size_t heading_length(std::string_view line) {
  size_t end = 0;
  while (end < line.size() && end < 9 && std::isalpha(uint8_t(line[end]))) {
    ++end;
  }
  if (end == 0 || end == line.size() || line[end] != ' ') return 0;
  const size_t number = ++end;
  while (end < line.size() && is_digit(line[end])) ++end;
  if (end == number) return 0;
  if (end < line.size() && line[end] != ':' && line[end] != '.') return 0;
  return std::min(end + 1, line.size());
}

// Length of the mark that begins a list item, with the space after it: "12. ",
// "3) ", "- ", "* ", "a) ", "Step 3: "; 0 if there is none.
size_t mark_length(std::string_view line) {
  if (const size_t heading = heading_length(line)) return heading;
  size_t end = 0;
  while (end < line.size() && end < 3 && is_digit(line[end])) ++end;
  if (end == 0 && !line.empty() && std::isalpha(uint8_t(line[0]))) end = 1;
  if (end > 0 && end < line.size() && (line[end] == '.' || line[end] == ')')) {
    ++end;
  } else if (line.size() > 1 &&
             (line[0] == '-' || line[0] == '*' || line[0] == '+')) {
    end = 1;
  } else if (line.rfind("\xe2\x80\xa2", 0) == 0) {  // a bullet
    end = 3;
  } else {
    return 0;
  }
  return end < line.size() && line[end] == ' ' ? end + 1 : 0;
}

bool is_row(std::string_view line) {
  return std::count(line.begin(), line.end(), '|') >= 2;
}

// A line of a program outside a fence.
bool looks_like_code(std::string_view line) {
  if (line.empty()) return false;
  const auto ends = [&](std::string_view with) { return line.ends_with(with); };
  const auto begins = [&](std::string_view with) {
    return line.starts_with(with);
  };
  return ends(";") || ends("{") || ends("}") || ends("};") || ends("):") ||
         ends(" \\") || (begins("<") && ends(">")) || begins("#include") ||
         begins("import ") || begins("return ") || begins("def ") ||
         begins("print(");
}

class Cutter {
 public:
  std::vector<Unit> cut(std::string_view text) {
    while (!text.empty()) {
      const size_t end = std::min(text.find('\n'), text.size());
      add_line(text::trim(text.substr(0, end)));
      text.remove_prefix(std::min(end + 1, text.size()));
    }
    return std::move(units_);
  }
  size_t num_plain_lines() const { return num_plain_lines_; }

 private:
  void add_line(std::string_view line) {
    if (line.starts_with("```") || line.starts_with("~~~")) {
      fenced_ = !fenced_;
      return;
    }
    if (fenced_ || looks_like_code(line)) return add(Kind::kCode, line);
    if (is_row(line)) return add(Kind::kRow, line);
    if (const size_t mark = mark_length(line)) {
      return add(Kind::kItem, line.substr(mark));
    }
    if (!line.empty()) ++num_plain_lines_;
    add_sentences(line);
  }

  // "1. Wash it. 2. Eat it." within a line is a list too.
  void add_sentences(std::string_view line) {
    Kind kind = Kind::kSentence;
    size_t begin = 0;
    for (size_t i = 0; i < line.size(); ++i) {
      const bool ends = line[i] == '.' || line[i] == '!' || line[i] == '?';
      if (!ends || (i + 1 < line.size() && line[i + 1] != ' ')) continue;
      const std::string_view sentence =
          text::trim(line.substr(begin, i + 1 - begin));
      begin = i + 1;
      const bool is_number =
          sentence.size() <= 4 &&
          std::all_of(sentence.begin(), sentence.end() - 1, is_digit);
      if (!is_number) add(kind, sentence);
      kind = is_number ? Kind::kItem : Kind::kSentence;
    }
    add(kind, line.substr(begin));
  }

  void add(Kind kind, std::string_view text) {
    Words words = text::rouge_words(text);
    if (!words.empty()) units_.push_back({kind, std::move(words)});
  }

  std::vector<Unit> units_;
  size_t num_plain_lines_ = 0;
  bool fenced_ = false;
};

// The same units again and again, anywhere.
bool has_cycle(const std::vector<Unit>& units) {
  for (size_t period = 1; period <= 8; ++period) {
    size_t same = 0;       // units that repeat what stands a period before
    size_t num_words = 0;  // in them
    for (size_t i = period; i < units.size(); ++i) {
      if (units[i].words != units[i - period].words) {
        same = num_words = 0;
        continue;
      }
      ++same;
      num_words += units[i].words.size();
      const size_t rounds = 1 + same / period;
      const size_t all =
          num_words + num_words / std::max<size_t>(1, rounds - 1);
      if (is_formal(units[i])) {
        const size_t least = units[i].kind == Kind::kRow ? 12 : 24;
        if (rounds >= 4 && all >= least) return true;
        continue;
      }
      if (rounds >= 3 && all >= 12) return true;
      if (rounds >= 4 && period == 1 && units[i].words.size() >= 2) return true;
    }
  }
  return false;
}

bool repeats_at_the_end(const Words& words, size_t min_words) {
  for (size_t period = 1; period <= 40 && 3 * period <= words.size();
       ++period) {
    size_t same = 0;
    while (same + period < words.size() &&
           words[words.size() - 1 - same] ==
               words[words.size() - 1 - same - period]) {
      ++same;
    }
    // `same` words repeat what stands one period before them.
    if (same >= 2 * period && same + period >= min_words) return true;
  }
  return false;
}

// The words of the last units of one sort: code and rows, or neither.
bool ends_in_a_loop(const std::vector<Unit>& units) {
  if (units.empty()) return false;
  const bool formal = is_formal(units.back());
  size_t first = units.size();
  while (first > 0 && is_formal(units[first - 1]) == formal) --first;
  Words words;
  for (size_t i = first; i < units.size(); ++i) {
    words.insert(words.end(), units[i].words.begin(), units[i].words.end());
  }
  return repeats_at_the_end(words, formal ? 60 : 12);
}

// How much of a text stood in it before.
struct Share {
  size_t num_all = 0;
  size_t num_again = 0;
  bool over(size_t percent) const {
    return num_again * 100 > num_all * percent;
  }
};

// In 4-grams over items and sentences.
Share repeated_grams(const std::vector<Unit>& units) {
  using Gram = std::array<uint32_t, 4>;
  Share share;
  std::unordered_map<std::string_view, uint32_t> numbers;  // of words
  std::set<std::vector<uint32_t>> seen_units;
  std::set<Gram> seen_grams;
  std::vector<uint32_t> last;  // at most three words
  for (const Unit& unit : units) {
    if (is_formal(unit)) {
      last.clear();
      continue;
    }
    size_t num_new = 0;
    std::vector<uint32_t> words;
    words.reserve(unit.words.size());
    for (const std::string& word : unit.words) {
      const auto [at, is_new] =
          numbers.emplace(word, static_cast<uint32_t>(numbers.size()));
      num_new += is_new;
      words.push_back(at->second);
    }
    const bool whole_again =
        !seen_units.insert(words).second && words.size() > 2;
    const size_t per_new = unit.kind == Kind::kItem ? 12 : 6;
    const bool says_something = num_new * per_new >= unit.words.size();
    std::set<Gram> grams_here;
    for (const uint32_t word : words) {
      last.push_back(word);
      if (last.size() < 4) continue;
      const Gram gram = {last[0], last[1], last[2], last[3]};
      const bool again_here = !grams_here.insert(gram).second;
      const bool again = seen_grams.contains(gram) && !says_something;
      ++share.num_all;
      share.num_again += whole_again || again_here || again;
      last.erase(last.begin());
    }
    seen_grams.merge(grams_here);
  }
  return share;
}

// In words of lines, over code and rows. Lines of one or two words (closing
// brackets have none) are form.
Share repeated_lines(const std::vector<Unit>& units) {
  Share share;
  std::set<Words> seen;
  for (const Unit& unit : units) {
    if (!is_formal(unit)) continue;
    share.num_all += unit.words.size();
    if (unit.words.size() > 2 && !seen.insert(unit.words).second) {
      share.num_again += unit.words.size();
    }
  }
  return share;
}

// Short lines, many of them.
bool is_verse(const std::vector<Unit>& units, size_t num_lines) {
  size_t num_words = 0;
  for (const Unit& unit : units) {
    if (unit.kind == Kind::kSentence) num_words += unit.words.size();
  }
  return num_lines >= 8 && num_words <= 10 * num_lines;
}

}  // namespace

bool has_repetition(const std::string& text) {
  Cutter cutter;
  const std::vector<Unit> units = cutter.cut(text);
  if (has_cycle(units) || ends_in_a_loop(units)) return true;
  const Share grams = repeated_grams(units);
  const size_t limit = is_verse(units, cutter.num_plain_lines()) ? 55 : 35;
  if (grams.num_all >= 21 && grams.over(limit)) return true;
  const Share lines = repeated_lines(units);
  return lines.num_all >= 60 && lines.over(60);
}

double repeated_share(const std::string& text) {
  const std::vector<std::string> words = text::rouge_words(text);
  if (words.size() < 3) return 0.0;
  const size_t num_grams = words.size() - 2;
  std::unordered_set<uint64_t> seen;
  for (size_t i = 0; i < num_grams; ++i) {
    seen.insert(
        Hasher().add(words[i]).add(words[i + 1]).add(words[i + 2]).key());
  }
  return 1.0 - double(seen.size()) / double(num_grams);
}

}  // namespace selfalign::parse
