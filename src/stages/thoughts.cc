#include "stages/thoughts.h"

#include <algorithm>
#include <cctype>

namespace selfalign::stages {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) {
  return std::isalpha(static_cast<unsigned char>(c)) != 0;
}
char lower(char c) {
  return static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
}

// "Numerical-Sensitivity " and "numerical sensitivity" are one name.
std::string normal_name(const std::string& name) {
  std::string normal;
  for (const char c : name) {
    const bool gap = c == ' ' || c == '-' || c == '_';
    if (!gap) {
      normal += lower(c);
    } else if (!normal.empty() && normal.back() != ' ') {
      normal += ' ';
    }
  }
  while (!normal.empty() && normal.back() == ' ') normal.pop_back();
  return normal;
}

class RuleReader {
 public:
  RuleReader(const std::string& text, const std::vector<std::string>& names)
      : text_(text) {
    for (const std::string& name : names) names_.push_back(normal_name(name));
  }

  FiredRules read() {
    bool about_rules = false;
    for (size_t at = 0; at < text_.size();) {
      const bool in_word =
          at > 0 && (is_letter(text_[at - 1]) || is_digit(text_[at - 1]));
      if (!in_word && is_digit(text_[at])) {
        at = read_rule(at, about_rules);
      } else if (!in_word && is_rule_word(at)) {
        about_rules = true;
        at += 4;
      } else {
        if (ends_sentence(at)) about_rules = false;
        ++at;
      }
    }
    return std::move(fired_);
  }

 private:
  bool is_rule_word(size_t at) const {
    std::string word;
    while (at < text_.size() && is_letter(text_[at])) {
      word += lower(text_[at++]);
    }
    return word == "rule" || word == "rules";
  }

  bool ends_sentence(size_t at) const {
    const char c = text_[at];
    return c == '\n' || ((c == '.' || c == ';') &&
                         (at + 1 == text_.size() || !is_digit(text_[at + 1])));
  }

  // Reads "3 (helpful)" from its number on; the position after it.
  size_t read_rule(size_t at, bool about_rules) {
    size_t number = 0;
    for (; at < text_.size() && is_digit(text_[at]); ++at) {
      number = std::min<size_t>(number * 10 + size_t(text_[at] - '0'), 1000);
    }
    size_t open = at;
    while (open < text_.size() && text_[open] == ' ') ++open;
    const size_t close = text_.find_first_of(")\n", open);
    if (open >= text_.size() || text_[open] != '(' ||
        close == std::string::npos || text_[close] != ')') {
      fired_.num_malformed += about_rules;
      return at;
    }
    const auto name =
        std::find(names_.begin(), names_.end(),
                  normal_name(text_.substr(open + 1, close - open - 1)));
    if (name == names_.end()) {
      fired_.num_malformed += about_rules;
      return close + 1;
    }
    const int rule = static_cast<int>(name - names_.begin()) + 1;
    fired_.num_malformed += number != static_cast<size_t>(rule);
    if (std::find(fired_.rules.begin(), fired_.rules.end(), rule) ==
        fired_.rules.end()) {
      fired_.rules.push_back(rule);
    }
    return close + 1;
  }

  const std::string& text_;
  std::vector<std::string> names_;
  FiredRules fired_;
};

// Position of the first line at or after `from` that starts with `tag`.
size_t find_line(const std::string& text, size_t from, const std::string& tag) {
  if (from == 0 && text.rfind(tag, 0) == 0) return 0;
  const size_t at = text.find("\n" + tag, from);
  return at == std::string::npos ? at : at + 1;
}

}  // namespace

std::string trim(const std::string& text) {
  const char* const kSpace = " \t\r\n\f\v";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

ThoughtfulAnswer split_thought(const std::string& text,
                               const std::string& answer_tag,
                               const std::vector<std::string>& tags) {
  ThoughtfulAnswer parts;
  const size_t at = find_line(text, 0, answer_tag);
  parts.has_answer = at != std::string::npos;
  parts.thought = trim(text.substr(0, at));
  if (!parts.has_answer) return parts;
  const size_t begin = at + answer_tag.size();
  size_t end = std::string::npos;
  for (const std::string& tag : tags) {
    end = std::min(end, find_line(text, begin, tag));
  }
  parts.closed = end != std::string::npos;
  parts.answer = trim(text.substr(begin, parts.closed ? end - begin : end));
  return parts;
}

FiredRules find_rules(const std::string& thought,
                      const std::vector<std::string>& names) {
  return RuleReader(thought, names).read();
}

}  // namespace selfalign::stages
