// SPDX-License-Identifier: Apache-2.0
#include "parse/paper_filters.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "parse/thoughts.h"
#include "text/unicode.h"
#include "text/words.h"

namespace selfalign::parse {
namespace {

bool starts_with(std::string_view text, std::string_view start) {
  return text.substr(0, start.size()) == start;
}

bool is_mark(char c) {
  return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') ||
         (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
}

// Characters, not bytes: the published limits count those.
size_t count_characters(std::string_view text) {
  return size_t(std::count_if(text.begin(), text.end(),
                              [](char c) { return (c & 0xc0) != 0x80; }));
}

// Characters of `text`, as Python's regular expressions compare them when case
// is ignored: a dotted capital I and a dotless i are an i, a long s is an s.
std::u32string fold_case(std::string_view text) {
  std::u32string folded;
  for (size_t pos = 0; pos < text.size();) {
    const text::Utf8Char next = text::utf8_char(text, pos);
    pos += next.length;
    int32_t code = next.code < 0 ? 0xFFFD : text::lower_char(next.code);
    if (next.code == 0x0130 || next.code == 0x0131) code = 'i';
    if (next.code == 0x017F) code = 's';
    folded += char32_t(code);
  }
  return folded;
}

// Python's \w: letters and numbers of any script and the underscore; unlike
// text::is_word, no combining marks.
bool is_python_word(char32_t c) {
  const auto code = int32_t(c);
  return text::is_letter(code) || text::is_number(code) || c == U'_';
}

// True if `text` holds `word` as a whole word: Python's \bword\b.
bool holds_word(std::u32string_view text, std::string_view word) {
  const std::u32string wanted(word.begin(), word.end());
  for (size_t at = text.find(wanted); at != text.npos;
       at = text.find(wanted, at + 1)) {
    const size_t end = at + wanted.size();
    if ((at == 0 || !is_python_word(text[at - 1])) &&
        (end == text.size() || !is_python_word(text[end]))) {
      return true;
    }
  }
  return false;
}

const char* unsuitable_word(const std::string& text) {
  const std::u32string folded = fold_case(text);
  for (const char* word :
       {"image", "images", "graph", "graphs", "picture", "pictures", "file",
        "files", "map", "maps", "draw", "plot", "go to", "video", "audio",
        "music", "flowchart", "diagram"}) {
    if (holds_word(folded, word)) return word;
  }
  return nullptr;
}

// All but the last word, as what length has cut off may end inside one.
std::string without_last_word(const std::string& text) {
  const size_t space = text.rfind(' ');
  return space == std::string::npos ? text : text.substr(0, space);
}

// What the two published filters of stage 2 do differently.
struct AlignRules {
  bool cuts_at_backticks = false;
  bool drops_copies = false;  // of the instruction
  bool drops_apologies = false;
  bool leaves_out_hearsay = false;
  std::vector<const char*> more_words{};
};

// Words of the published exemplars that the authors saw in other answers.
const char* exemplar_word(const std::string& answer, const AlignRules& rules) {
  std::vector<const char*> words = {
      "Good job! Clear context",
      "Could you please provide more details or context so I can try to "
      "assist you better?",
      "president",
      "President",
      "Zhiqing",
      "1, 1, 4",
      "weather",
      "or by watching the news or checking your local",
      "alpaca",
      "Alpaca"};
  words.insert(words.end(), rules.more_words.begin(), rules.more_words.end());
  for (const char* word : words) {
    if (answer.find(word) != std::string::npos) return word;
  }
  return nullptr;
}

// True if the answer holds the instruction, or what stands before or after its
// first blank line: a task and its input are joined by one.
bool copies_instruction(const std::string& answer,
                        const std::string& instruction) {
  const std::string_view whole = instruction;
  std::vector<std::string_view> parts = {whole};
  const size_t blank = whole.find("\n\n");
  if (blank != std::string_view::npos) {
    parts.push_back(whole.substr(0, blank));
    parts.push_back(whole.substr(blank + 2));
  }
  return std::any_of(parts.begin(), parts.end(), [&](std::string_view part) {
    return count_characters(part) > kPaper2MaxCopied &&
           answer.find(part) != std::string::npos;
  });
}

Judgement judge_aligned(const ReadAnswer& read, const RawAnswer& raw,
                        const AnswerFrame& frame, const AlignRules& rules) {
  if (read.ends && count_characters(read.answer) < kPaperMinFinished) {
    return Rejection{"too_short",
                     str(count_characters(read.answer), " characters")};
  }
  if (rules.drops_copies && copies_instruction(read.answer, raw.instruction)) {
    return Rejection{"copies_instruction", ""};
  }
  for (const std::string& mark :
       {frame.user_tag, frame.assistant + " (auto reply):"}) {
    if (read.answer.find(mark) != std::string::npos) {
      return Rejection{"leaks_prompt", mark};
    }
  }
  if (const char* word = exemplar_word(read.answer, rules)) {
    return Rejection{"exemplar_word", word};
  }
  if (rules.drops_apologies && (starts_with(read.answer, "I'm sorry") ||
                                starts_with(read.answer, "I am sorry"))) {
    return Rejection{"apology", ""};
  }
  if (read.answer.empty()) return Rejection{"no_answer", "nothing there"};
  return std::nullopt;
}

// A long paragraph of the prompt that stands in the answer, too.
bool copies_paragraph(const std::string& answer, const std::string& prompt) {
  for (const std::string_view line : text::split_lines(prompt)) {
    const std::string_view paragraph = text::trim(line);
    if (paragraph.size() >= 100 && answer.find(paragraph) != std::string::npos)
      return true;
  }
  return false;
}

Judgement judge_verbose(const ReadAnswer& read, const RawAnswer& raw,
                        const AnswerFrame& frame) {
  for (const std::string& text : {raw.instruction, read.answer}) {
    if (text.find("Zhiqing") != std::string::npos) {
      return Rejection{"exemplar_word", "Zhiqing"};
    }
  }
  const size_t length = count_characters(read.answer);
  if (!read.ends && length < kPaperMinUnfinished) {
    return Rejection{"too_short", str(length, " characters")};
  }
  for (const char* heading : {"## See also", "## External links"}) {
    if (read.answer.find(heading) != std::string::npos) {
      return Rejection{"wiki", heading};
    }
  }
  for (const std::string& mark : frame.marks) {
    if (!mark.empty() && read.answer.find(mark) != std::string::npos) {
      return Rejection{"leaks_prompt", mark};
    }
  }
  if (copies_paragraph(read.answer, frame.prompt)) {
    return Rejection{"copies_exemplar", "a paragraph of the prompt"};
  }
  return std::nullopt;
}

// "H" for the words that stand before it in some answers.
void leave_out_hearsay(std::string& answer) {
  constexpr std::string_view kHearsay =
      "According to my knowledge from Wikipedia, h";
  if (starts_with(answer, kHearsay) &&
      starts_with(answer.substr(kHearsay.size()), "ere")) {
    answer = "H" + answer.substr(kHearsay.size());
  }
}

ReadAnswer read_align(const RawAnswer& raw, const AnswerFrame& frame,
                      const AlignRules& rules) {
  ReadAnswer read;
  const size_t tag = raw.text.find("\n\n" + frame.answer_tag);
  read.thought = trim(raw.text.substr(0, tag));
  if (!starts_with(read.thought, frame.opening)) {
    read.judgement = Rejection{"no_opening", "of a thought"};
    return read;
  }
  if (tag == std::string::npos) {
    read.judgement = Rejection{"no_answer", "a thought only"};
    return read;
  }
  const std::string whole =
      trim(raw.text.substr(tag + 2 + frame.answer_tag.size()));
  std::string answer = cut_at_repeated_clause(whole, rules.cuts_at_backticks);
  const size_t next = answer.find("\n\n" + frame.user_tag);
  const bool stopped = frame.has_stop &&
                       raw.finish == generate::Finish::kStop &&
                       answer.size() == whole.size();
  read.ends = next != std::string::npos || stopped;
  read.answer =
      read.ends ? trim(answer.substr(0, next)) : without_last_word(answer);
  read.judgement = judge_aligned(read, raw, frame, rules);
  if (rules.leaves_out_hearsay) leave_out_hearsay(read.answer);
  return read;
}

}  // namespace

Judgement paper_judge_task(const ListedTask& task) {
  if (task.is_last) return Rejection{"malformed", "last of the list"};
  if (!task.has_input_line) return Rejection{"malformed", "no input line"};
  const size_t words = text::count_words(task.task);
  if (words <= 3) return Rejection{"too_short", str(words, " words")};
  if (words > 150) return Rejection{"too_long", str(words, " words")};
  for (const std::string& text : {task.task, task.input}) {
    if (const char* word = unsuitable_word(text)) {
      return Rejection{"not_text", word};
    }
  }
  if (is_mark(task.task[0])) {
    return Rejection{"malformed", "starts with a mark"};
  }
  if (task.task[0] & 0x80) {
    return Rejection{"not_english", "starts with a character beyond ASCII"};
  }
  return std::nullopt;
}

Judgement paper_judge_topic(const std::string& topic) {
  const size_t words = text::count_words(topic);
  if (words > 3) return Rejection{"too_long", str(words, " words")};
  if (words == 0) return Rejection{"too_short", "empty"};
  if (topic[0] < 'A' || topic[0] > 'Z') {
    return Rejection{"malformed", "does not start with a capital letter"};
  }
  if (is_mark(topic.back())) {
    return Rejection{"malformed", "ends in a mark"};
  }
  return std::nullopt;
}

std::string cut_at_repeated_clause(const std::string& text, bool backticks) {
  const std::string_view ends = backticks ? "\n.?!;:,`" : "\n.?!;:,";
  std::set<std::string_view> seen;
  const std::string_view all = text;
  size_t begin = 0;
  while (begin < all.size()) {
    const size_t mark = all.find_first_of(ends, begin);
    const size_t end = mark == std::string_view::npos ? all.size() : mark + 1;
    const std::string_view clause = all.substr(begin, end - begin);
    const bool bare = clause.size() == 1 && mark == begin;
    if (!bare && !seen.insert(clause).second) break;
    begin = end;
  }
  return trim(text.substr(0, begin));
}

ReadAnswer paper_read_align(const RawAnswer& raw, const AnswerFrame& frame) {
  return read_align(raw, frame,
                    {.drops_apologies = true, .leaves_out_hearsay = true});
}

ReadAnswer paper2_read_align(const RawAnswer& raw, const AnswerFrame& frame) {
  return read_align(raw, frame,
                    {.cuts_at_backticks = true,
                     .drops_copies = true,
                     .more_words = {"\xe5\xad\x99\xe4\xb9\x8b\xe6\xb8\x85",
                                    "birthday party", "Birthday party"}});
}

ReadAnswer paper_read_verbose(const RawAnswer& raw, const AnswerFrame& frame) {
  ReadAnswer read;
  const std::string text = trim(raw.text);
  const size_t next = frame.user_tag.empty() ? std::string::npos
                                             : text.find(frame.user_tag + "\n");
  const bool stopped = frame.has_stop && raw.finish == generate::Finish::kStop;
  const bool closed = next != std::string::npos || stopped;
  const std::string body =
      closed ? trim(text.substr(0, next)) : without_last_word(text);
  // The tag after a finished answer is part of it: what cuts the answer cuts
  // the tag, and the line break before it ends the last clause.
  const std::string whole =
      closed ? trim(body + "\n\n" + frame.user_tag) : body;
  read.answer = cut_at_repeated_clause(whole, true);
  read.ends = closed && read.answer.size() == whole.size();
  if (read.ends) read.answer = body;
  const size_t thirteenth = read.answer.find("\n13. ");
  if (thirteenth != std::string::npos) {
    read.answer.resize(thirteenth);
    read.ends = false;
  }
  read.judgement = judge_verbose(read, raw, frame);
  return read;
}

}  // namespace selfalign::parse
