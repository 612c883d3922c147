// SPDX-License-Identifier: Apache-2.0
#include "stages/request_form.h"

#include <algorithm>
#include <vector>

#include "text/root_verb.h"
#include "text/rouge.h"
#include "text/word_set.h"

namespace selfalign::stages {
namespace {

using Words = std::vector<std::string>;
using text::WordSet;

bool opens_question(const std::string& word) {
  static const WordSet openers = {
      "are",  "can",   "could", "did",  "do",    "does",  "has",
      "have", "how",   "if",    "is",   "may",   "must",  "should",
      "was",  "were",  "what",  "when", "where", "which", "who",
      "whom", "whose", "why",   "will", "would"};
  return openers.contains(word);
}

bool is_order(const std::string& instruction, const Words& words) {
  // Openers, and verbs that the list of root verbs lacks.
  static const WordSet orders = {
      "apply",   "book",      "buy",     "cancel",  "clean",  "close",
      "cook",    "cut",       "deliver", "email",   "fetch",  "highlight",
      "invite",  "learn",     "let",     "measure", "open",   "pay",
      "play",    "please",    "pretend", "print",   "remind", "reply",
      "reserve", "send",      "sing",    "spot",    "stop",   "switch",
      "take",    "underline", "wake",    "wash",    "work"};
  if (orders.contains(words[0])) return true;
  // A verb the list knows, as one of the first two words.
  const auto root = text::find_root_verb(instruction);
  return root && (words[0] == root->verb ||
                  (words.size() > 1 && words[1] == root->verb));
}

bool closes_all(const std::string& text) {
  const auto number = [&text](char c) {
    return std::count(text.begin(), text.end(), c);
  };
  return number('"') % 2 == 0 && number('(') <= number(')') &&
         number('[') <= number(']');
}

bool says_twice(const Words& words) {
  constexpr size_t kRun = 3;
  for (size_t i = 0; i + 2 * kRun <= words.size(); ++i) {
    if (std::search(words.begin() + long(i + kRun), words.end(),
                    words.begin() + long(i),
                    words.begin() + long(i + kRun)) != words.end()) {
      return true;
    }
  }
  return false;
}

// The word that points to a text, "" if none does.
std::string pointer(const Words& words) {
  static const WordSet kTexts = {
      "article", "code",      "conversation", "document", "equation",
      "essay",   "letter",    "list",         "message",  "number",
      "numbers", "paragraph", "passage",      "phrase",   "poem",
      "problem", "sentence",  "sentences",    "set",      "statement",
      "story",   "table",     "text",         "word",     "words"};
  for (size_t i = 0; i + 1 < words.size(); ++i) {
    const std::string& next = words[i + 1];
    if (words[i] == "the" && (next == "following" || next == "given" ||
                              next == "missing" || next == "underlined")) {
      return "the " + next;
    }
    const bool near = words[i] == "this" || words[i] == "these";
    if ((near || words[i] == "given") && kTexts.contains(next)) {
      return words[i] + " " + next;
    }
  }
  return "";
}

// Asks what the assistant has lived: "that you have ever seen", "your
// favorite".
bool asks_of_a_life(const Words& words) {
  static const std::vector<Words> kAsking = {{"you", "ever"},
                                             {"you", "have", "ever"},
                                             {"you", "ve", "ever"},
                                             {"have", "you"},
                                             {"had", "you"},
                                             {"did", "you"},
                                             {"your", "favorite"},
                                             {"your", "life"},
                                             {"you", "feel"},
                                             {"you", "have", "had"},
                                             {"you", "have", "seen"},
                                             {"you", "ve", "seen"},
                                             {"you", "have", "done"},
                                             {"you", "ve", "done"},
                                             {"you", "have", "learned"},
                                             {"you", "ve", "learned"},
                                             {"you", "have", "experienced"},
                                             {"you", "ve", "experienced"}};
  return std::any_of(kAsking.begin(), kAsking.end(), [&](const Words& asking) {
    return std::search(words.begin(), words.end(), asking.begin(),
                       asking.end()) != words.end();
  });
}

bool is_act(const std::string& word) {
  static const WordSet acts = {
      "add",   "attend",   "build",  "buy",    "carry",  "claim", "clean",
      "climb", "cook",     "cut",    "drink",  "drive",  "eat",   "go",
      "hold",  "install",  "invite", "join",   "listen", "meet",  "move",
      "open",  "organize", "pay",    "play",   "print",  "pull",  "push",
      "put",   "read",     "record", "run",    "sell",   "send",  "throw",
      "track", "travel",   "turn",   "update", "upload", "use",   "visit",
      "walk",  "wash",     "watch",  "wear"};
  return acts.contains(word);
}

}  // namespace

std::optional<std::string> wrong_form(const std::string& instruction,
                                      bool red_team) {
  const std::string task = instruction.substr(0, instruction.find('\n'));
  const Words words = text::rouge_words(task);
  if (words.empty()) return "no words";
  const bool asks = task.find('?') != std::string::npos;
  if (!asks && !opens_question(words[0]) && !is_order(task, words)) {
    return "neither a question nor an order";
  }
  if (!closes_all(task)) return "quotes or brackets do not close";
  if (task.find(" ?") != std::string::npos) return "a space before a mark";
  static const WordSet open_ends = {"a",  "an",  "and", "my",
                                    "or", "the", "your"};
  if (open_ends.contains(words.back())) return "ends on " + words.back();
  if (says_twice(words)) return "says the same twice";
  const bool has_text = task.size() < instruction.size() ||
                        instruction.find_first_of(":\"") != std::string::npos;
  if (const std::string found = pointer(words); !found.empty() && !has_text) {
    return "\"" + found + "\", and none is there";
  }
  if (!red_team && asks && asks_of_a_life(words)) {
    return "asks what the assistant has lived";
  }
  // "Turn the text into a list" is about the text that is there.
  if (!red_team && !asks && !has_text && is_act(words[0])) {
    return "an act: " + words[0];
  }
  return std::nullopt;
}

}  // namespace selfalign::stages
