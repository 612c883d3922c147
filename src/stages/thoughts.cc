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

// Position after the next word "rule" or "rules" at or after `from`.
size_t after_rules_word(const std::string& text, size_t from) {
  for (size_t i = from; i + 4 <= text.size(); ++i) {
    if (lower(text[i]) != 'r' || (i > 0 && is_letter(text[i - 1]))) continue;
    std::string word;
    size_t end = i;
    while (end < text.size() && is_letter(text[end]))
      word += lower(text[end++]);
    if (word == "rule" || word == "rules") return end;
  }
  return std::string::npos;
}

class RuleReader {
 public:
  RuleReader(const std::string& text, const std::vector<std::string>& names)
      : text_(text), names_(names) {}

  FiredRules read() {
    for (size_t at = after_rules_word(text_, 0); at != std::string::npos;
         at = after_rules_word(text_, at)) {
      at = read_sentence(at);
    }
    return std::move(fired_);
  }

 private:
  // Reads numbers up to the end of the sentence; the position there.
  size_t read_sentence(size_t at) {
    while (at < text_.size()) {
      const char c = text_[at];
      const bool ends =
          c == '\n' || ((c == '.' || c == ';') &&
                        (at + 1 == text_.size() || !is_digit(text_[at + 1])));
      if (ends) return at;
      at = is_digit(c) ? read_rule(at) : at + 1;
    }
    return at;
  }

  size_t read_rule(size_t at) {
    size_t number = 0;
    for (; at < text_.size() && is_digit(text_[at]); ++at) {
      number = std::min<size_t>(number * 10 + size_t(text_[at] - '0'), 1000);
    }
    size_t open = at;
    while (open < text_.size() && text_[open] == ' ') ++open;
    const size_t close = text_.find_first_of(")\n", open);
    if (open >= text_.size() || text_[open] != '(' ||
        close == std::string::npos || text_[close] != ')') {
      ++fired_.num_malformed;
      return at;
    }
    const std::string name =
        normal_name(text_.substr(open + 1, close - open - 1));
    if (number < 1 || number > names_.size() ||
        normal_name(names_[number - 1]) != name) {
      ++fired_.num_malformed;
    } else if (std::find(fired_.rules.begin(), fired_.rules.end(),
                         static_cast<int>(number)) == fired_.rules.end()) {
      fired_.rules.push_back(static_cast<int>(number));
    }
    return close + 1;
  }

  const std::string& text_;
  const std::vector<std::string>& names_;
  FiredRules fired_;
};

}  // namespace

std::string trim(const std::string& text) {
  const char* const kSpace = " \t\r\n\f\v";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

ThoughtfulAnswer split_thought(const std::string& text,
                               const std::string& answer_tag) {
  ThoughtfulAnswer parts;
  size_t at = text.rfind(answer_tag, 0) == 0 ? 0 : std::string::npos;
  if (at == std::string::npos) {
    at = text.find("\n" + answer_tag);
    if (at != std::string::npos) ++at;
  }
  parts.has_answer = at != std::string::npos;
  parts.thought = trim(text.substr(0, at));
  if (parts.has_answer)
    parts.answer = trim(text.substr(at + answer_tag.size()));
  return parts;
}

FiredRules find_rules(const std::string& thought,
                      const std::vector<std::string>& names) {
  return RuleReader(thought, names).read();
}

}  // namespace selfalign::stages
