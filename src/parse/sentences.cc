// SPDX-License-Identifier: Apache-2.0
#include "parse/sentences.h"

#include <algorithm>
#include <set>
#include <span>

#include "base/joined.h"
#include "parse/thoughts.h"
#include "text/rouge.h"
#include "text/word_set.h"

namespace selfalign::parse {
namespace {

using Words = std::vector<std::string>;
using text::WordSet;

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r'; }

// Whether the words [from, from + number) of `words` stand in `text` in a row.
bool holds_run(const Words& text, const Words& words, size_t from,
               size_t number) {
  return std::search(text.begin(), text.end(), words.begin() + long(from),
                     words.begin() + long(from + number)) != text.end();
}

std::string join(const Words& words, size_t from, size_t number) {
  return joined(std::span(words).subspan(from, number), " ");
}

// Kinds of text that an answer may consist of.
const WordSet& text_kinds() {
  static const WordSet kinds = {
      "advice",       "answer",     "answers",     "code",        "description",
      "dialogue",     "email",      "essay",       "example",     "examples",
      "explanation",  "facts",      "function",    "ideas",       "information",
      "instructions", "letter",     "list",        "message",     "outline",
      "paragraph",    "paragraphs", "plan",        "poem",        "program",
      "questions",    "reasons",    "recipe",      "report",      "response",
      "result",       "review",     "sentence",    "sentences",   "solution",
      "song",         "steps",      "story",       "suggestions", "summary",
      "text",         "tips",       "translation", "ways"};
  return kinds;
}

// What a writer says to do next: "I will write".
const WordSet& writing_verbs() {
  static const WordSet verbs = {
      "answer",  "create",    "describe", "explain", "give",  "help",
      "list",    "make",      "present",  "provide", "share", "show",
      "suggest", "summarize", "tell",     "try",     "write"};
  return verbs;
}

bool begins_with(const Words& words, const Words& start) {
  return words.size() >= start.size() &&
         std::equal(start.begin(), start.end(), words.begin());
}

// "Sure", "Of course", which stand before an announcement.
bool is_consent(const Words& words) {
  static const std::set<Words> consents = {
      {"sure"},          {"certainly"},    {"of", "course"}, {"yes"},
      {"okay"},          {"ok"},           {"absolutely"},   {"gladly"},
      {"no", "problem"}, {"sure", "thing"}};
  return consents.contains(words);
}

// Number of words of a consent that `words` begins with.
size_t consent_size(const Words& words) {
  for (const size_t number : {size_t{2}, size_t{1}}) {
    if (words.size() > number &&
        is_consent({words.begin(), words.begin() + long(number)})) {
      return number;
    }
  }
  return 0;
}

// "Here you go", "I can help you with that", "Happy to help".
bool offers(const Words& words) {
  static const std::set<Words> handed = {{"here", "you", "go"},
                                         {"here", "you", "are"},
                                         {"here", "it", "is"},
                                         {"here", "they", "are"}};
  static const std::set<Words> starts = {{"i", "can"},
                                         {"i", "can", "certainly"},
                                         {"i", "am", "happy"},
                                         {"i", "m", "happy"},
                                         {"i", "am", "glad"},
                                         {"i", "m", "glad"},
                                         {"i", "d", "be", "happy"},
                                         {"i", "would", "be", "happy"},
                                         {"i", "d", "be", "glad"},
                                         {"i", "would", "be", "glad"},
                                         {"happy"},
                                         {"glad"}};
  static const WordSet pointing = {"you", "with", "that", "this", "it", "to"};
  if (handed.contains(words)) return true;
  auto help = std::find(words.begin(), words.end(), "help");
  if (help == words.end()) return false;
  const bool points = std::all_of(help + 1, words.end(), [](const auto& word) {
    return pointing.contains(word);
  });
  if (help != words.begin() && *(help - 1) == "to") --help;
  return points && starts.contains({words.begin(), help});
}

// "Here is a poem", "I will write", "Let me explain", "Here you go".
bool says_what_comes(Words words) {
  words.erase(words.begin(), words.begin() + long(consent_size(words)));
  if (offers(words)) return true;
  const bool names_text =
      std::any_of(words.begin(), words.end(),
                  [](const auto& word) { return text_kinds().contains(word); });
  for (const Words& start :
       {Words{"here", "is"}, Words{"here", "are"}, Words{"here", "s"},
        Words{"below", "is"}, Words{"below", "are"},
        Words{"the", "following", "is"}, Words{"the", "following", "are"}}) {
    if (begins_with(words, start)) return names_text;
  }
  for (const Words& start : {Words{"i", "will"}, Words{"i", "ll"},
                             Words{"let", "me"}, Words{"let", "us"}}) {
    if (!begins_with(words, start)) continue;
    size_t verb = start.size();
    if (verb < words.size() && words[verb] == "now") ++verb;
    return verb < words.size() && writing_verbs().contains(words[verb]);
  }
  return false;
}

// Without marks that may stand around a last colon: "**The list:**".
bool ends_in_colon(const std::string& sentence) {
  const size_t last = sentence.find_last_not_of(" \t*_\"'`)");
  return last != std::string::npos && sentence[last] == ':';
}

// A number before the colon is the thing itself, unless it numbers what comes:
// "Step 1:".
bool announces(const std::string& sentence, const Words& words) {
  if (says_what_comes(words)) return true;
  if (!ends_in_colon(sentence)) return false;
  const bool number = !words.empty() && words.back().find_first_not_of(
                                            "0123456789") == std::string::npos;
  return !number || words.size() <= 2;
}

// The line below the headings of a table: "|---|:-:|".
bool is_table_rule(const std::string& sentence) {
  return sentence.find_first_not_of("|-: ") == std::string::npos &&
         sentence.find('|') != std::string::npos &&
         sentence.find("--") != std::string::npos;
}

// "```", "```python"
bool is_fence(const std::string& sentence) {
  return sentence.starts_with("```") &&
         sentence.find_first_of(" `", 3) == std::string::npos;
}

// Of the sentences, those that hold a place for what does not come: numbers of
// a list in order, fences, headings of a table above its rule.
class Places {
 public:
  bool take(const std::vector<std::string>& sentences, size_t at) {
    const std::string& sentence = sentences[at];
    for (const int number : {1, next_number_}) {
      const std::string digits = std::to_string(number);
      if (sentence != digits + "." && sentence != digits + ")") continue;
      next_number_ = number + 1;
      return true;
    }
    return is_fence(sentence) || is_table_rule(sentence) ||
           (at + 1 < sentences.size() && is_table_rule(sentences[at + 1]) &&
            sentence.find('|') != std::string::npos);
  }

 private:
  int next_number_ = 1;
};

}  // namespace

std::vector<std::string> split_sentences(std::string_view text) {
  std::vector<std::string> sentences;
  size_t begin = 0;
  for (size_t at = 0; at <= text.size(); ++at) {
    const bool over = at == text.size() || text[at] == '\n';
    const bool mark =
        !over && is_space(text[at]) && at > begin &&
        (text[at - 1] == '.' || text[at - 1] == '!' || text[at - 1] == '?');
    if (!over && !mark) continue;
    const std::string sentence =
        trim(std::string(text.substr(begin, at - begin)));
    if (!sentence.empty()) sentences.push_back(sentence);
    begin = at + 1;
  }
  return sentences;
}

std::optional<std::string> copied_sentence(
    const std::string& answer, const std::vector<std::string>& examples,
    const std::string& instruction) {
  const Words answered = text::rouge_words(answer);
  const Words asked = text::rouge_words(instruction);
  for (const std::string& example : examples) {
    for (const std::string& sentence : split_sentences(example)) {
      const Words words = text::rouge_words(sentence);
      if (words.size() < kMinCopiedWords) continue;
      const size_t run = std::min(words.size(), kMaxSharedWords);
      for (size_t from = 0; from + run <= words.size(); ++from) {
        if (holds_run(answered, words, from, run) &&
            !holds_run(asked, words, from, run)) {
          return join(words, from, run);
        }
      }
    }
  }
  return std::nullopt;
}

bool only_announces(const std::string& answer) {
  const std::vector<std::string> sentences = split_sentences(answer);
  Places places;
  bool any = false;
  for (size_t i = 0; i < sentences.size(); ++i) {
    const Words words = text::rouge_words(sentences[i]);
    const bool says =
        places.take(sentences, i) || announces(sentences[i], words);
    if (!says && !words.empty() && !is_consent(words)) return false;
    any = any || says;
  }
  return any;
}

}  // namespace selfalign::parse
