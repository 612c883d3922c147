// SPDX-License-Identifier: Apache-2.0
// The filters as published (profiles "paper" and "paper2"), with their faults
// where these shape the data: what they drop and cut was learned from, and a
// run can show what it costs. Same contract as filters.h. Facts from the
// authors' code for stages 1, 2 and 4; words of their exemplars that they
// sorted out by name are listed in the source file.
#pragma once

#include <string>

#include "parse/filters.h"
#include "parse/lists.h"

namespace selfalign::parse {

// A task of the list (Self-Instruct's filter).
//   malformed  the last of its list, whole or not; no line for the input;
//              starts with an ASCII mark
//   too_short  up to 3 words   too_long  over 150
//   not_text   one of 18 words such as "picture" or "draw", anywhere
//   not_english  does not start with an ASCII character
Judgement paper_judge_task(const ListedTask& task);

// A topic as listed: too_long (over 3 words), too_short (empty), malformed
// (does not start with A-Z, or ends in a mark). One cut off by length is kept.
Judgement paper_judge_topic(const std::string& topic);

// `text` up to the first clause that repeats an earlier one: clauses end at a
// line break or one of . ? ! ; : , (and ` with `backticks`) and are compared
// as they are, so that a list with a repeated item, or code with a repeated
// line, is cut there. Trimmed.
std::string cut_at_repeated_clause(const std::string& text, bool backticks);

// A finished answer shorter than this, in characters, is dropped in stage 2:
// with the next turn's tag after it, it has under 160.
constexpr size_t kPaperMinFinished = 149;
// An unfinished one shorter than this is dropped in stage 4.
constexpr size_t kPaperMinUnfinished = 128;

// Stage 2. The answer is cut at a repeated clause; one without the next turn
// after it is unfinished and loses its last word.
//   no_opening  the thought does not begin as the exemplars' thoughts do
//   no_answer   only a thought, or nothing left of the answer
//   too_short   finished under 149 characters
//   leaks_prompt   a tag of the frame
//   exemplar_word  a word of the published exemplars: "president", "weather"
//   apology     begins with "I'm sorry" or "I am sorry"
ReadAnswer paper_read_align(const RawAnswer& raw, const AnswerFrame& frame);

// A copy of the instruction up to this long, in characters, is let pass.
constexpr size_t kPaper2MaxCopied = 16;

// Stage 2 of the second version (Dromedary-2). As above, with these changes:
// backticks end a clause, too; apologies are kept, hearsay stays as it is; more
// exemplar words (a name in Chinese, "birthday party").
//   copies_instruction  holds the instruction, its task or its input, where
//               that is over 16 characters
ReadAnswer paper2_read_align(const RawAnswer& raw, const AnswerFrame& frame);

// Stage 4. As above; lists are cut after item 12.
//   too_short  unfinished under 128 characters
//   exemplar_word  the person of the published exemplars
//   wiki       headings of an encyclopedia's last sections
//   leaks_prompt   the tag of long answers
//   copies_exemplar  a paragraph of the prompt, of 100 characters or more
ReadAnswer paper_read_verbose(const RawAnswer& raw, const AnswerFrame& frame);

}  // namespace selfalign::parse
