#include "stages/sentences.h"

#include <algorithm>
#include <set>

#include "stages/thoughts.h"
#include "text/rouge.h"
#include "text/word_set.h"

namespace selfalign::stages {
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
  std::string text;
  for (size_t i = from; i < from + number; ++i) {
    text += (text.empty() ? "" : " ") + words[i];
  }
  return text;
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

// "Here is a poem", "I will write", "Let me explain".
bool says_what_comes(Words words) {
  words.erase(words.begin(), words.begin() + long(consent_size(words)));
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

// "-", "```", "1."
bool is_empty_item(const std::string& sentence, const Words& words) {
  return words.empty() ? !ends_in_colon(sentence)
                       : sentence == "1." || sentence == "1)";
}

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
  bool announces = false;
  for (const std::string& sentence : split_sentences(answer)) {
    const Words words = text::rouge_words(sentence);
    if (is_empty_item(sentence, words) || is_consent(words)) continue;
    if (!ends_in_colon(sentence) && !says_what_comes(words)) return false;
    announces = true;
  }
  return announces;
}

}  // namespace selfalign::stages
