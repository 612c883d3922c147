// SPDX-License-Identifier: Apache-2.0
#include "text/root_verb.h"

#include <algorithm>
#include <vector>

#include "text/word_set.h"
#include "text/words.h"

namespace selfalign::text {
namespace {

const WordSet& verbs() {
  static const WordSet set = {
      "add",         "advise",      "analyze",    "announce",   "answer",
      "argue",       "arrange",     "ask",        "assess",     "assign",
      "assume",      "attach",      "begin",      "brainstorm", "break",
      "bring",       "build",       "calculate",  "call",       "categorize",
      "change",      "check",       "choose",     "cite",       "clarify",
      "classify",    "collect",     "combine",    "come",       "comment",
      "compare",     "compile",     "complete",   "compose",    "compute",
      "condense",    "conduct",     "connect",    "consider",   "construct",
      "continue",    "contrast",    "convert",    "convince",   "cook",
      "copy",        "correct",     "count",      "create",     "criticize",
      "critique",    "debate",      "debug",      "decide",     "define",
      "delete",      "demonstrate", "derive",     "describe",   "design",
      "detect",      "determine",   "develop",    "diagnose",   "differentiate",
      "discuss",     "distinguish", "divide",     "do",         "draft",
      "draw",        "edit",        "elaborate",  "enter",      "enumerate",
      "estimate",    "evaluate",    "examine",    "expand",     "explain",
      "explore",     "express",     "extend",     "extract",    "fill",
      "filter",      "find",        "finish",     "fix",        "follow",
      "form",        "formulate",   "gather",     "generate",   "get",
      "give",        "group",       "guess",      "guide",      "help",
      "hypothesize", "identify",    "illustrate", "imagine",    "implement",
      "improve",     "include",     "indicate",   "infer",      "insert",
      "inspect",     "instruct",    "interpret",  "introduce",  "invent",
      "investigate", "judge",       "justify",    "keep",       "label",
      "let",         "list",        "locate",     "look",       "make",
      "map",         "mark",        "match",      "mention",    "merge",
      "modify",      "move",        "name",       "narrate",    "negate",
      "offer",       "optimize",    "order",      "organize",   "outline",
      "paraphrase",  "pick",        "plan",       "point",      "predict",
      "prepare",     "present",     "produce",    "proofread",  "propose",
      "prove",       "provide",     "put",        "quote",      "rank",
      "rate",        "read",        "rearrange",  "recall",     "recommend",
      "recount",     "reduce",      "refactor",   "reformat",   "relate",
      "remove",      "rename",      "reorder",    "repeat",     "rephrase",
      "replace",     "report",      "request",    "research",   "respond",
      "restate",     "review",      "revise",     "rewrite",    "rhyme",
      "run",         "say",         "schedule",   "score",      "select",
      "separate",    "set",         "share",      "shorten",    "show",
      "simplify",    "solve",       "sort",       "specify",    "speculate",
      "spell",       "split",       "start",      "state",      "substitute",
      "suggest",     "sum",         "summarize",  "supply",     "talk",
      "teach",       "tell",        "test",       "think",      "trace",
      "track",       "transcribe",  "transform",  "translate",  "try",
      "turn",        "update",      "use",        "verify",     "visit",
      "visualize",   "weigh",       "write"};
  return set;
}

// What may stand before the verb of a request.
const WordSet& openers() {
  static const WordSet set = {
      "please", "kindly", "now",   "then",  "first", "next", "also", "just",
      "can",    "could",  "would", "will",  "you",   "i",    "want", "need",
      "to",     "me",     "like",  "let's", "help",  "us"};
  return set;
}

// What ends the object.
const WordSet& enders() {
  static const WordSet set = {
      "about",   "above",   "according", "after",   "against", "along",
      "and",     "are",     "around",    "as",      "at",      "based",
      "be",      "because", "before",    "below",   "between", "but",
      "by",      "can",     "do",        "does",    "during",  "for",
      "from",    "has",     "have",      "how",     "if",      "in",
      "inside",  "into",    "is",        "like",    "near",    "of",
      "on",      "or",      "out",       "over",    "should",  "since",
      "so",      "such",    "than",      "that",    "through", "to",
      "under",   "until",   "upon",      "using",   "was",     "were",
      "what",    "when",    "where",     "whether", "which",   "while",
      "who",     "whose",   "why",       "will",    "with",    "within",
      "without", "would",   "you"};
  return set;
}

// Words that are no noun and do not end the object.
const WordSet& pronouns() {
  static const WordSet set = {"me",   "us",   "him",   "her",   "them",  "it",
                              "this", "that", "these", "those", "a",     "an",
                              "the",  "my",   "your",  "our",   "their", "his",
                              "its",  "up",   "down",  "some",  "any",   "each",
                              "all",  "one",  "two",   "three"};
  return set;
}

// Words in small letters; a mark after a word stands as a word of its own.
std::vector<std::string> pieces_of(std::string_view sentence) {
  std::vector<std::string> pieces;
  std::string word;
  const auto flush = [&] {
    if (!word.empty()) pieces.push_back(std::move(word));
    word.clear();
  };
  for (const char c : to_lower(sentence)) {
    const bool letter = (c >= 'a' && c <= 'z') || c == '\'' || c == '-' ||
                        (c >= '0' && c <= '9') || (c & 0x80) != 0;
    if (letter) {
      word += c;
      continue;
    }
    flush();
    if (c != ' ' && c != '\t' && c != '"') pieces.push_back(std::string(1, c));
  }
  flush();
  return pieces;
}

bool is_mark(const std::string& piece) {
  return piece.size() == 1 && !(piece[0] >= 'a' && piece[0] <= 'z') &&
         !(piece[0] >= '0' && piece[0] <= '9');
}

std::string singular(const std::string& noun) {
  const auto ends = [&noun](std::string_view end) {
    return noun.size() > end.size() + 1 && noun.ends_with(end);
  };
  const auto without = [&noun](size_t count) {
    return noun.substr(0, noun.size() - count);
  };
  if (ends("ies")) return without(3) + "y";
  for (const char* end : {"sses", "ches", "shes", "xes", "zes"}) {
    if (ends(end)) return without(2);
  }
  if (ends("ss") || ends("us") || ends("is") || !ends("s")) return noun;
  return without(1);
}

std::string object_of(const std::vector<std::string>& pieces, size_t from) {
  std::string noun;
  for (size_t i = from; i < pieces.size(); ++i) {
    if (is_mark(pieces[i])) break;
    if (pronouns().contains(pieces[i])) {
      // "give me that": the object is none of these, and a further article
      // after a noun starts another thing.
      if (noun.empty()) continue;
      break;
    }
    if (enders().contains(pieces[i])) break;
    noun = pieces[i];
  }
  return singular(noun);
}

std::optional<RootVerb> root_of(const std::vector<std::string>& pieces) {
  for (size_t i = 0; i < pieces.size(); ++i) {
    // "Help me write a letter" asks for a letter.
    const bool opens =
        openers().contains(pieces[i]) &&
        (pieces[i] != "help" ||
         (i + 1 < pieces.size() && openers().contains(pieces[i + 1])));
    if (opens) continue;
    if (!verbs().contains(pieces[i])) return std::nullopt;
    return RootVerb{pieces[i], object_of(pieces, i + 1)};
  }
  return std::nullopt;
}

}  // namespace

std::optional<RootVerb> find_root_verb(std::string_view instruction) {
  // The first sentence, or clause after a comma, that starts with a verb.
  constexpr std::string_view kEnds = ".!?:;\n,";
  while (!instruction.empty()) {
    const size_t end =
        std::min(instruction.find_first_of(kEnds), instruction.size());
    if (const auto root = root_of(pieces_of(instruction.substr(0, end)))) {
      return root;
    }
    instruction.remove_prefix(std::min(end + 1, instruction.size()));
  }
  return std::nullopt;
}

}  // namespace selfalign::text
