// SPDX-License-Identifier: Apache-2.0
#include "parse/rules.h"

#include <algorithm>
#include <optional>
#include <string_view>

#include "text/words.h"

namespace selfalign::parse {
namespace {

constexpr size_t kMaxName = 60;  // bytes between brackets, at most

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}
bool is_gap(char c) { return c == ' ' || c == '-' || c == '_' || c == '\t'; }

// "Numerical-Sensitivity " and "numerical sensitivity" are one name.
std::string normal_name(std::string_view name) {
  std::string normal;
  for (const char c : name) {
    if (!is_gap(c)) {
      normal += lower(c);
    } else if (!normal.empty() && normal.back() != ' ') {
      normal += ' ';
    }
  }
  while (!normal.empty() && normal.back() == ' ') normal.pop_back();
  return normal;
}

// Typographic quotes and dashes as plain ones.
std::string plain_marks(std::string_view text) {
  std::string plain;
  for (size_t at = 0; at < text.size(); ++at) {
    const std::string_view mark = text.substr(at, 3);
    const char last = mark.size() == 3 ? mark[2] : '\0';
    char stands = '\0';
    if (mark.starts_with("\xe2\x80")) {
      if (last == '\x9c' || last == '\x9d') stands = '"';
      if (last == '\x98' || last == '\x99') stands = '\'';
      if (last == '\x93' || last == '\x94') stands = '-';
    }
    plain += stands ? stands : text[at];
    if (stands) at += 2;
  }
  return plain;
}

template <size_t n>
bool is_one_of(std::string_view word, const std::string_view (&words)[n]) {
  return std::find(std::begin(words), std::end(words), word) != std::end(words);
}

bool is_rule_word(std::string_view word) {
  static constexpr std::string_view kWords[] = {"rule", "rules", "principle",
                                                "principles"};
  return is_one_of(word, kWords);
}

// Words that stand between the rules of a list.
bool is_joint(std::string_view word) {
  static constexpr std::string_view kWords[] = {
      "and", "or", "also", "plus", "the", "no", "nr", "number", "numbers"};
  return is_one_of(word, kWords) || is_rule_word(word);
}

// Words that may follow a bare number that names a rule; "5 apples" does not.
bool may_follow_number(std::string_view word) {
  static constexpr std::string_view kWords[] = {
      "apply", "applies", "here",  "are",     "is", "to",
      "in",    "because", "since", "through", "as", "for"};
  return is_one_of(word, kWords) || is_joint(word);
}

// The principles by their names.
class RuleNames {
 public:
  explicit RuleNames(const std::vector<std::string>& names) {
    names_.reserve(names.size());
    for (const std::string& name : names) names_.push_back(normal_name(name));
  }

  struct Named {
    int rule = 0;
    bool exact = true;
    size_t size = 0;  // of a bare name, in bytes
  };

  bool is_rule(int number) const {
    return number >= 1 && static_cast<size_t>(number) <= names_.size();
  }

  // The principle with this name or, where it is the only nearest one within
  // one letter (two from eight letters on), nearly this name.
  std::optional<Named> rule_named(std::string_view text) const {
    const std::string name = normal_name(text);
    const size_t limit = name.size() < 4 ? 0 : name.size() < 8 ? 1 : 2;
    size_t best = limit + 1;
    std::optional<Named> found;
    for (size_t i = 0; i < names_.size(); ++i) {
      const size_t distance = text::edit_distance(name, names_[i]);
      if (distance == best) found.reset();
      if (distance >= best) continue;
      best = distance;
      found = Named{static_cast<int>(i) + 1, distance == 0, 0};
    }
    return found;
  }

  // The longest name that `text` begins with, without quotes.
  std::optional<Named> begins_with(std::string_view text) const {
    std::optional<Named> found;
    for (size_t i = 0; i < names_.size(); ++i) {
      const size_t size = size_of_name(names_[i], text);
      if (size != std::string::npos && (!found || size > found->size)) {
        found = Named{static_cast<int>(i) + 1, true, size};
      }
    }
    return found;
  }

 private:
  static size_t size_of_name(const std::string& name, std::string_view text) {
    if (text.size() < name.size()) return std::string::npos;
    for (size_t i = 0; i < name.size(); ++i) {
      if (name[i] == ' ' ? !is_gap(text[i]) : lower(text[i]) != name[i]) {
        return std::string::npos;
      }
    }
    const size_t size = name.size();
    const bool inside =
        size < text.size() && (is_letter(text[size]) || text[size] == '-');
    return inside ? std::string::npos : size;
  }

  std::vector<std::string> names_;
};

// A thought sentence by sentence: what stands at a place of the one at hand.
// Nothing is read beyond its end.
class Sentences {
 public:
  explicit Sentences(const std::string& thought)
      : text_(plain_marks(thought)) {}

  // Goes on to the next sentence; false: there is none.
  bool next() {
    begin_ = is_begun_ ? end_ + 1 : 0;
    is_begun_ = true;
    if (begin_ >= text_.size()) return false;
    end_ = sentence_end(begin_);
    return true;
  }
  size_t begin() const { return begin_; }
  size_t end() const { return end_; }

  char operator[](size_t at) const { return text_[at]; }
  // From `at` to the sentence's end.
  std::string_view rest(size_t at) const {
    return at < end_ ? std::string_view(text_).substr(at, end_ - at) : "";
  }

  struct Word {
    std::string text;  // lower case
    size_t end;
  };
  Word word_at(size_t at) const {
    Word word;
    for (; at < end_ && is_letter(text_[at]); ++at)
      word.text += lower(text_[at]);
    word.end = at;
    return word;
  }

  bool starts_word(size_t at) const {
    return at == 0 || !(is_letter(text_[at - 1]) || is_digit(text_[at - 1]));
  }

  struct Number {
    int value = 0;  // stays at 1000 from there on
    size_t end = 0;
  };
  Number number_at(size_t at) const {
    Number number;
    for (; at < end_ && is_digit(text_[at]); ++at) {
      number.value = std::min(number.value * 10 + (text_[at] - '0'), 1000);
    }
    number.end = at;
    return number;
  }

  struct Bracket {
    std::string_view text;
    size_t begin;  // of the text
    size_t end;    // behind the closing mark
  };
  std::optional<Bracket> bracket_at(size_t at) const {
    static constexpr std::string_view kOpen = "([{\"'`*", kClose = ")]}\"'`*";
    if (at >= end_) return std::nullopt;
    const size_t kind = kOpen.find(text_[at]);
    if (kind == std::string_view::npos) return std::nullopt;
    const size_t close = text_.find(kClose[kind], at + 1);
    if (close >= end_ || close - at > kMaxName) return std::nullopt;
    return Bracket{std::string_view(text_).substr(at + 1, close - at - 1),
                   at + 1, close + 1};
  }

  size_t skip_space(size_t at) const {
    while (at < end_ && text_[at] == ' ') ++at;
    return at;
  }

  size_t skip_joints(size_t at) const {
    static constexpr std::string_view kMarks = " \t,;/&+:#.";
    while (at < end_) {
      if (kMarks.find(text_[at]) != std::string_view::npos) {
        ++at;
        continue;
      }
      const Word word = word_at(at);
      if (word.text.empty() || !is_joint(word.text)) break;
      at = word.end;
    }
    return at;
  }

  bool has_rule_word() const {
    for (size_t at = begin_; at < end_; ++at) {
      if (starts_word(at) && is_rule_word(word_at(at).text)) return true;
    }
    return false;
  }

  // Behind a colon or a semicolon and with something in brackets: the item of a
  // list of rules with their reasons.
  bool opens_item(size_t at) const {
    size_t before = at;
    while (before > 0 && text_[before - 1] == ' ') --before;
    const bool is_apart =
        before > 0 && (text_[before - 1] == ':' || text_[before - 1] == ';');
    return is_apart && bracket_at(skip_space(number_at(at).end)).has_value();
  }

 private:
  // A line break, or a period before white space but not of "no." or "1." in
  // front.
  size_t sentence_end(size_t begin) const {
    for (size_t at = begin; at < text_.size(); ++at) {
      const char c = text_[at];
      if (c == '\n' || c == '!' || c == '?') return at;
      if (c != '.' || (at + 1 < text_.size() && text_[at + 1] != ' ')) continue;
      const std::string_view before(text_.data() + begin, at - begin);
      if (before.ends_with(" no") || before.ends_with(" nr")) continue;
      // The number of a list's item.
      if (before.find_first_not_of(" 0123456789") == before.npos) continue;
      return at;
    }
    return text_.size();
  }

  const std::string text_;
  size_t begin_ = 0;
  size_t end_ = 0;
  bool is_begun_ = false;
};

// Reads mentions of principles, one after the other, and counts their forms.
class RuleReader {
 public:
  RuleReader(const std::string& thought, const std::vector<std::string>& names)
      : text_(thought), names_(names) {}

  FiredRules read() {
    while (text_.next()) read_sentence();
    return std::move(fired_);
  }

 private:
  using Named = RuleNames::Named;
  using Number = Sentences::Number;
  using Word = Sentences::Word;

  void read_sentence() {
    const bool about_rules = text_.has_rule_word();
    for (size_t at = text_.begin(); at < text_.end();) {
      const bool starts = text_.starts_word(at);
      if (starts && is_rule_word(text_.word_at(at).text)) {
        at = read_list(text_.word_at(at).end);
      } else if (starts && is_digit(text_[at])) {
        at = about_rules && text_.opens_item(at)
                 ? read_item(at, false)
                 : read_numbered(at, about_rules);
      } else {
        const size_t next = at + 1;
        at = starts && about_rules ? std::max(read_quoted(at), next) : next;
      }
    }
  }

  // The list after "rules": items with joints between; where it ends.
  size_t read_list(size_t at) {
    size_t last = at;
    for (bool first = true;; first = false) {
      const size_t begin = text_.skip_joints(last);
      const size_t end = read_item(begin, first);
      if (end == begin) return last;
      last = end;
    }
  }

  // One item of a list; its end, or `at` if there is none.
  size_t read_item(size_t at, bool first) {
    if (at >= text_.end()) return at;
    if (!is_digit(text_[at])) {
      const size_t quoted = read_quoted(at);
      return quoted != at ? quoted : read_bare_name(at);
    }
    const size_t named = read_numbered(at, true);
    const Number number = text_.number_at(at);
    if (named != number.end) return named;
    if (const auto bracket = text_.bracket_at(text_.skip_space(number.end))) {
      add_unknown();
      return bracket->end;
    }
    return read_range(number, at, first);
  }

  // "3 (helpful)", "3: helpful", "3 - helpful": its end, else the number's.
  // A bare name, and outside a list a misspelt one, must agree in number.
  size_t read_numbered(size_t at, bool about_rules) {
    const Number number = text_.number_at(at);
    if (const auto bracket = text_.bracket_at(text_.skip_space(number.end))) {
      const auto rule = names_.rule_named(bracket->text);
      if (!rule) return number.end;
      if (!about_rules && !rule->exact) return number.end;
      add(*rule, number.value);
      return bracket->end;
    }
    size_t begin = number.end;
    while (begin < text_.end() &&
           (is_gap(text_[begin]) || text_[begin] == ':' ||
            text_[begin] == '=' || text_[begin] == '.')) {
      ++begin;
    }
    const auto name = names_.begins_with(text_.rest(begin));
    if (!name || name->rule != number.value) return number.end;
    add(*name, number.value);
    return begin + name->size;
  }

  // "4", "4 to 6", "4-6".
  size_t read_range(const Number& number, size_t at, bool first) {
    size_t next = text_.skip_space(number.end);
    const Word word = text_.word_at(next);
    const bool is_range = (next < text_.end() && text_[next] == '-') ||
                          word.text == "to" || word.text == "through";
    const size_t after =
        text_.skip_space(word.text.empty() ? next + 1 : word.end);
    if (is_range && after < text_.end() && is_digit(text_[after])) {
      const Number last = text_.number_at(after);
      if (number.value < last.value && names_.is_rule(last.value)) {
        for (int rule = number.value; rule <= last.value; ++rule) {
          add_number(rule);
        }
        return last.end;
      }
    }
    if (!first && !word.text.empty() && !may_follow_number(word.text)) {
      return at;
    }
    add_number(number.value);
    return number.end;
  }

  // A name in quotes or brackets, its number behind it if there is one.
  size_t read_quoted(size_t at) {
    const auto bracket = text_.bracket_at(at);
    if (!bracket) return at;
    if (const auto rule = names_.rule_named(bracket->text)) {
      return read_number_behind(*rule, bracket->end);
    }
    return at;
  }

  size_t read_bare_name(size_t at) {
    const auto name = names_.begins_with(text_.rest(at));
    return name ? read_number_behind(*name, at + name->size) : at;
  }

  size_t read_number_behind(const Named& rule, size_t at) {
    const auto bracket = text_.bracket_at(text_.skip_space(at));
    if (bracket && !bracket->text.empty() &&
        std::all_of(bracket->text.begin(), bracket->text.end(), is_digit)) {
      add(rule, text_.number_at(bracket->begin).value);
      return bracket->end;
    }
    add(rule, 0);
    return at;
  }

  // `number` 0: none was given.
  void add(const Named& named, int number) {
    count(!named.exact           ? RuleForm::kMisspelt
          : number == 0          ? RuleForm::kNameOnly
          : number != named.rule ? RuleForm::kWrongNumber
                                 : RuleForm::kWhole);
    fire(named.rule);
  }
  void add_number(int number) {
    if (!names_.is_rule(number)) return add_unknown();
    count(RuleForm::kNumberOnly);
    fire(number);
  }
  void add_unknown() { count(RuleForm::kUnknown); }

  void count(RuleForm form) { ++fired_.forms[static_cast<size_t>(form)]; }
  void fire(int rule) {
    std::vector<int>& rules = fired_.rules;
    if (std::find(rules.begin(), rules.end(), rule) == rules.end()) {
      rules.push_back(rule);
    }
  }

  Sentences text_;
  const RuleNames names_;
  FiredRules fired_;
};

}  // namespace

int FiredRules::num_malformed() const {
  return count(RuleForm::kMisspelt) + count(RuleForm::kWrongNumber) +
         count(RuleForm::kUnknown);
}

FiredRules find_rules(const std::string& thought,
                      const std::vector<std::string>& names) {
  return RuleReader(thought, names).read();
}

}  // namespace selfalign::parse
