// SPDX-License-Identifier: Apache-2.0
// The profiles over the same stages. "paper" does as the authors' code does,
// faults included where they shape the data; "paper2" is "paper" with the
// answer filter and the settings of its second version, Dromedary-2; "default"
// repairs them. A stage asks the profile of its recipe; what the other
// profile's filters make of the same rows is computed when somebody asks for it
// (profiles.h). Settings that differ (sampling and the like) are defaults of
// the recipe (recipe.cc), which may say otherwise.
#pragma once

#include <string>
#include <vector>

#include "parse/filters.h"
#include "parse/lists.h"
#include "text/rouge.h"

namespace selfalign::recipe {

struct AnswerFilter {
  std::string name;  // of the verdicts: "align.default.1"
  parse::ReadAnswer (*read)(const parse::RawAnswer& raw,
                            const parse::AnswerFrame& frame);
};

struct Profile {
  std::string name;

  // Names of filters: "<stage>.<profile>.<version>".
  std::string instruct_filter;  // tasks and questions
  std::string topic_filter;
  parse::Judgement (*judge_task)(const parse::ListedTask& task,
                                 const std::string& text);
  parse::Judgement (*judge_topic)(const parse::ListedTopic& topic);
  // A question for a topic. Null: any is taken, one for each topic.
  parse::Judgement (*judge_question)(const std::string& question);

  // How tasks are cut into words and scored to find near-duplicates.
  text::RougeKind rouge;
  // Tasks are compared with all that was kept in the run; else within a shard
  // of instruct.shard_size, and across shards for equal letters and digits.
  bool compares_whole_run;
  // Seed tasks of a prompt: two in five with an input; else drawn from all
  // alike.
  bool balances_exemplars;

  AnswerFilter align;
  AnswerFilter verbose;
  // Generation ends at the next turn's tag, or where a list of questions has
  // all that were asked for; else at its full length.
  bool stops_at_turns;
  // Words whose first token is never sampled in stage 2.
  std::vector<std::string> banned_words;

  // A finished answer is learned with the end-of-text token after it; else
  // with the tag of the next turn.
  bool learns_end_of_text;
  // Self-identification rows are learned as they are in both tunings; else
  // without an end in stage 3, and their questions are answered by the
  // engraved model for stage 4.
  bool repeats_identity;
  // Samples of stage 4 stand under its own prompt; else by turns under stage
  // 3's and its own.
  bool one_verbose_prompt;
};

// "default", "paper" and "paper2".
const std::vector<std::string>& profile_names();
const Profile& profile_named(const std::string& name);
// The profile that a run of `own` is compared with: default, and for default
// paper.
const Profile& other_profile(const Profile& own);
// The name of the profile whose filter it is; "" if none's.
std::string profile_of(const std::string& filter);
// The other profile's filter of the same rows; "" if `filter` is none's.
std::string counterpart(const std::string& filter);

}  // namespace selfalign::recipe
