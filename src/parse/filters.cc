// SPDX-License-Identifier: Apache-2.0
#include "parse/filters.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "base/error.h"
#include "parse/repetition.h"
#include "parse/sentences.h"
#include "parse/subject.h"
#include "parse/thoughts.h"
#include "text/rouge.h"
#include "text/word_set.h"

namespace selfalign::parse {
namespace {

using text::WordSet;
using Words = std::vector<std::string>;

// Words so common that eight words of English hardly do without all of them.
const WordSet& common_words() {
  static const WordSet words = {
      "a",    "about", "an",    "and", "are",   "as",   "at",    "be",
      "by",   "can",   "did",   "do",  "does",  "for",  "from",  "give",
      "has",  "have",  "how",   "i",   "if",    "in",   "into",  "is",
      "it",   "its",   "list",  "me",  "my",    "of",   "on",    "one",
      "or",   "s",     "that",  "the", "their", "them", "there", "these",
      "they", "this",  "to",    "use", "was",   "we",   "were",  "what",
      "when", "where", "which", "who", "why",   "will", "with",  "write",
      "you",  "your"};
  return words;
}

struct Characters {
  size_t letters = 0;   // ASCII letters
  size_t foreign = 0;   // characters beyond ASCII
  size_t visible = 0;   // all but white space
  bool broken = false;  // U+FFFD or control characters
};

Characters count_characters(const std::string& text) {
  Characters count;
  for (size_t i = 0; i < text.size(); ++i) {
    const unsigned char c = static_cast<unsigned char>(text[i]);
    if (c == ' ' || c == '\n' || c == '\t' || c == '\r') continue;
    if (c < 0x20 || c == 0x7f || text.compare(i, 3, "\xef\xbf\xbd") == 0) {
      count.broken = true;
    }
    if ((c & 0xc0) == 0x80) continue;  // inside a UTF-8 character
    ++count.visible;
    if (c >= 0x80) ++count.foreign;
    if ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ++count.letters;
  }
  return count;
}

// Typographic quotes, dashes, degrees and accents are English enough: one
// character in ten may be foreign.
Judgement judge_language(const std::string& text, const Words& words) {
  const Characters count = count_characters(text);
  if (count.broken) return Rejection{"garbled", "broken characters"};
  if (count.foreign * 10 > count.visible) {
    return Rejection{"not_english", "other scripts"};
  }
  // A table, a log or a sum to work on may be mostly figures.
  const Characters task = count_characters(text.substr(0, text.find('\n')));
  if (task.letters * 2 < task.visible || count.letters * 6 < count.visible) {
    return Rejection{"garbled", "few letters"};
  }
  const bool any = std::any_of(words.begin(), words.end(), [](const auto& w) {
    return common_words().contains(w);
  });
  if (words.size() >= 8 && !any) {
    return Rejection{"not_english", "no common English word"};
  }
  return std::nullopt;
}

bool contains_placeholder(const std::string& text, std::string& found) {
  for (const std::string_view mark :
       {"____", "[insert", "[Insert", "[your", "[Your", "[name", "[Name",
        "...]", "<insert", "<your", "<name", "lorem ipsum", "Lorem ipsum",
        "XXXX", "XYZ"}) {
    if (text.find(mark) != std::string::npos) {
      found = mark;
      return true;
    }
  }
  return false;
}

bool is_one_of(const std::string& word,
               std::initializer_list<std::string_view> list) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

bool is_medium(const std::string& word) {
  return is_one_of(
      word,
      {"image",      "images",     "picture",     "pictures", "photo",
       "photos",     "photograph", "photographs", "video",    "videos",
       "audio",      "recording",  "recordings",  "sound",    "screenshot",
       "chart",      "graph",      "diagram",     "map",      "drawing",
       "sketch",     "painting",   "website",     "link",     "file",
       "attachment", "spreadsheet"});
}

// An order to make something for eyes or ears, something shown that is not
// there, or an act in the world.
bool needs_more_than_text(const Words& words, std::string& found) {
  if (words.empty()) return false;
  static const std::array<std::string_view, 12> kActs = {
      "draw", "sketch", "paint", "photograph", "film", "sing",
      "hum",  "remind", "wake",  "download",   "call", "phone"};
  // "draw up", "call for", "draw conclusions" are about text.
  const bool figurative =
      words.size() > 1 &&
      is_one_of(words[1], {"up", "on", "from", "for", "out", "conclusions"});
  if (!figurative &&
      std::find(kActs.begin(), kActs.end(), words[0]) != kActs.end()) {
    found = words[0];
    return true;
  }
  for (size_t i = 0; i < words.size(); ++i) {
    const bool points =
        is_one_of(words[i], {"this", "these", "attached", "following", "above",
                             "below", "given", "provided", "shown"});
    const bool makes =
        i == 0 &&
        is_one_of(words[i], {"create", "make", "design", "generate", "produce",
                             "show", "take", "record", "upload", "open", "play",
                             "watch", "look", "listen"});
    const size_t reach = makes ? 5 : points ? 2 : 0;
    for (size_t j = i + 1; j <= i + reach && j < words.size(); ++j) {
      if (is_medium(words[j])) {
        found = words[j];
        return true;
      }
      // "make a list of pictures" is about text again.
      if (is_one_of(words[j], {"of", "about", "for", "that", "to", "from"})) {
        break;
      }
    }
  }
  return false;
}

Judgement judge_form(const std::string& text) {
  const unsigned char first =
      text.empty() ? 0 : static_cast<unsigned char>(text[0]);
  const bool opens = (first | 0x20) >= 'a'
                         ? (first | 0x20) <= 'z' || first >= 0x80
                         : first >= '0' && first <= '9';
  if (!opens && first != '"' && first != '\'') {
    return Rejection{"malformed", "starts with a mark"};
  }
  for (const std::string_view mark : {"Task:", "Text:", "Input:", "Output:"}) {
    if (text.find(mark) != std::string::npos) {
      return Rejection{"malformed", str("holds \"", mark, "\"")};
    }
  }
  // In an input it is the column of a table.
  if (text.substr(0, text.find('\n')).find(" | ") != std::string::npos) {
    return Rejection{"malformed", "holds \" | \""};
  }
  return std::nullopt;
}

// A thought in the wrong place.
bool is_thought(const std::string& answer) {
  if (answer.starts_with("The user ")) return true;
  for (const std::string& sentence : split_sentences(answer)) {
    if (sentence.starts_with("The user asks")) return true;
  }
  for (const std::string_view mark :
       {"should follow rule", "internal thought", "(auto reply)"}) {
    if (answer.find(mark) != std::string::npos) return true;
  }
  // "rules 3" and "rule 3 ("
  for (size_t at = answer.find("rule"); at != std::string::npos;
       at = answer.find("rule", at + 4)) {
    const size_t number = at + 4 + (answer.compare(at + 4, 1, "s") == 0);
    const size_t digits = answer.find_first_not_of("0123456789", number + 1);
    if (answer.compare(number, 1, " ") == 0 && digits != number + 1 &&
        digits != std::string::npos && answer.compare(digits, 2, " (") == 0) {
      return true;
    }
  }
  return false;
}

}  // namespace

Judgement judge_instruction(const std::string& instruction, bool red_team) {
  const Words words = text::rouge_words(instruction);
  std::string found;
  if (Judgement form = judge_form(instruction)) return form;
  if (words.size() < 3) {
    return Rejection{"too_short", str(words.size(), " words")};
  }
  if (words.size() > 150) {
    return Rejection{"too_long", str(words.size(), " words")};
  }
  if (Judgement language = judge_language(instruction, words)) return language;
  if (has_repetition(instruction)) return Rejection{"repetition", ""};
  if (contains_placeholder(instruction, found)) {
    return Rejection{"placeholder", found};
  }
  if (!red_team && needs_more_than_text(words, found)) {
    return Rejection{"not_text", found};
  }
  return std::nullopt;
}

Judgement judge_topic(const std::string& topic) {
  const Words words = text::rouge_words(topic);
  const Characters count = count_characters(topic);
  if (count.letters == 0) return Rejection{"too_short", "no letter"};
  if (words.size() > 5) {
    return Rejection{"too_long", str(words.size(), " words")};
  }
  return judge_language(topic, words);
}

ReadAnswer read_answer(const RawAnswer& raw, const AnswerFrame& frame) {
  ReadAnswer read;
  bool closed = false;
  if (frame.answer_tag.empty()) {
    size_t end = std::string::npos;
    for (const std::string& tag : frame.turn_tags) {
      end = std::min(end, raw.text.find("\n" + tag));
    }
    closed = end != std::string::npos;
    read.answer = trim(raw.text.substr(0, end));
  } else {
    ThoughtfulAnswer parts =
        split_thought(raw.text, frame.answer_tag, frame.turn_tags);
    closed = parts.closed;
    read.thought = std::move(parts.thought);
    read.answer = std::move(parts.answer);
    if (read.thought.empty() && parts.has_answer) {
      read.judgement = Rejection{"no_thought", ""};
    }
  }
  read.ends = closed || raw.finish == generate::Finish::kStop;
  if (!read.judgement) read.judgement = judge_answer(read.answer, raw, frame);
  return read;
}

Judgement judge_answer(const std::string& answer, const RawAnswer& raw,
                       const AnswerFrame& frame) {
  if (raw.finish == generate::Finish::kNoRoom) return Rejection{"no_room", ""};
  if (answer.empty()) return Rejection{"no_answer", ""};
  const Characters count = count_characters(answer);
  if (count.broken) return Rejection{"garbled", "broken characters"};
  if (count.foreign * 4 > count.visible) return Rejection{"not_english", ""};
  if (count.visible >= 40 && count.letters * 4 < count.visible) {
    return Rejection{"garbled", "few letters"};
  }
  for (const std::string& mark : frame.marks) {
    if (!mark.empty() && answer.find(mark) != std::string::npos) {
      return Rejection{"leaks_prompt", mark};
    }
  }
  if (is_thought(answer)) return Rejection{"leaks_prompt", "a thought"};
  if (has_repetition(answer)) return Rejection{"repetition", ""};
  for (size_t i = 0; i < frame.exemplars.size(); ++i) {
    if (text::rouge_l(answer, frame.exemplars[i]) > 0.7) {
      return Rejection{"copies_exemplar", str("answer ", i + 1)};
    }
  }
  if (const auto copied =
          copied_sentence(answer, frame.exemplars, raw.instruction)) {
    return Rejection{"copies_exemplar", *copied};
  }
  if (only_announces(answer)) return Rejection{"announces_only", ""};
  if (text::rouge_words(answer).size() > 4 &&
      text::rouge_l(answer, raw.instruction) > 0.8) {
    return Rejection{"copies_instruction", ""};
  }
  if (says_nothing_new(raw.instruction, answer)) {
    return Rejection{"copies_instruction", "no word of content is new"};
  }
  return std::nullopt;
}

}  // namespace selfalign::parse
