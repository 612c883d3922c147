// SPDX-License-Identifier: Apache-2.0
#include "parse/subject.h"

#include <algorithm>
#include <vector>

#include "text/rouge.h"
#include "text/word_set.h"

namespace selfalign::parse {
namespace {

using text::WordSet;

const WordSet& function_words() {
  static const WordSet words = {
      "a",       "able",      "about",    "above",  "after",  "again",
      "all",     "also",      "always",   "am",     "an",     "and",
      "another", "any",       "anything", "are",    "as",     "ask",
      "at",      "be",        "because",  "been",   "before", "being",
      "best",    "but",       "by",       "can",    "cannot", "come",
      "could",   "d",         "did",      "do",     "does",   "doing",
      "don",     "down",      "during",   "each",   "even",   "ever",
      "every",   "few",       "first",    "for",    "from",   "get",
      "give",    "given",     "go",       "good",   "great",  "had",
      "has",     "have",      "having",   "he",     "help",   "her",
      "here",    "him",       "his",      "how",    "i",      "idea",
      "if",      "important", "in",       "into",   "is",     "it",
      "its",     "itself",    "just",     "know",   "less",   "let",
      "like",    "ll",        "m",        "made",   "make",   "many",
      "may",     "me",        "might",    "more",   "most",   "much",
      "must",    "my",        "need",     "never",  "new",    "no",
      "none",    "not",       "nothing",  "now",    "of",     "off",
      "on",      "one",       "only",     "or",     "other",  "our",
      "out",     "over",      "own",      "please", "re",     "s",
      "same",    "say",       "see",      "she",    "should", "so",
      "some",    "something", "such",     "sure",   "t",      "take",
      "tell",    "than",      "that",     "the",    "their",  "them",
      "then",    "there",     "these",    "they",   "thing",  "things",
      "this",    "those",     "through",  "to",     "too",    "two",
      "under",   "up",        "us",       "use",    "used",   "ve",
      "very",    "want",      "was",      "way",    "we",     "well",
      "were",    "what",      "when",     "where",  "which",  "while",
      "who",     "whose",     "why",      "will",   "with",   "would",
      "yes",     "you",       "your"};
  return words;
}

std::string stem(std::string word) {
  for (const std::string_view ending : {"ing", "ed", "ly", "es", "s"}) {
    if (word.size() >= ending.size() + 3 && word.ends_with(ending)) {
      word.resize(word.size() - ending.size());
      break;
    }
  }
  // "making" and "make"
  if (word.size() > 3 && word.back() == 'e') word.pop_back();
  return word;
}

bool brings_a_text(const std::string& instruction) {
  return instruction.find_first_of(":\"\n") != std::string::npos;
}

}  // namespace

std::set<std::string> content_words(std::string_view text) {
  std::set<std::string> content;
  for (const std::string& word : text::rouge_words(text)) {
    if (!function_words().contains(word)) content.insert(stem(word));
  }
  return content;
}

bool shares_subject(const std::string& instruction, const std::string& answer) {
  const std::set<std::string> asked = content_words(instruction);
  if (asked.empty()) return true;
  const std::set<std::string> said = content_words(answer);
  return std::any_of(asked.begin(), asked.end(), [&](const std::string& word) {
    return said.contains(word);
  });
}

bool says_nothing_new(const std::string& instruction,
                      const std::string& answer) {
  constexpr size_t kMinWords = 5;
  const std::vector<std::string> words = text::rouge_words(answer);
  const std::vector<std::string> asked_words = text::rouge_words(instruction);
  const auto has = [](const std::vector<std::string>& list, const char* word) {
    return std::find(list.begin(), list.end(), word) != list.end();
  };
  if (words.size() < kMinWords || has(words, "yes") || has(words, "no") ||
      has(asked_words, "or") || brings_a_text(instruction)) {
    return false;
  }
  const std::set<std::string> asked = content_words(instruction);
  const std::set<std::string> said = content_words(answer);
  return std::includes(asked.begin(), asked.end(), said.begin(), said.end());
}

double new_content_share(const std::string& instruction,
                         const std::string& answer) {
  const size_t num_words = text::rouge_words(answer).size();
  if (num_words == 0 || brings_a_text(instruction)) return 1.0;
  const std::set<std::string> asked = content_words(instruction);
  const std::set<std::string> said = content_words(answer);
  const auto num_new = std::count_if(
      said.begin(), said.end(),
      [&](const std::string& word) { return !asked.contains(word); });
  return double(num_new) / double(num_words);
}

}  // namespace selfalign::parse
