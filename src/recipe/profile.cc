// SPDX-License-Identifier: Apache-2.0
#include "recipe/profile.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "parse/paper_filters.h"

namespace selfalign::recipe {
namespace {

parse::Judgement default_judge_task(const parse::ListedTask& task,
                                    const std::string& text) {
  if (task.cut_off) return parse::Rejection{"malformed", "cut off"};
  return parse::judge_instruction(text, false);
}

parse::Judgement default_judge_topic(const parse::ListedTopic& topic) {
  if (topic.cut_off) return parse::Rejection{"malformed", "cut off"};
  return parse::judge_topic(parse::plain_topic(topic.text));
}

parse::Judgement default_judge_question(const std::string& question) {
  return parse::judge_instruction(question, true);
}

parse::Judgement published_judge_task(const parse::ListedTask& task,
                                      const std::string&) {
  return parse::paper_judge_task(task);
}

parse::Judgement published_judge_topic(const parse::ListedTopic& topic) {
  return parse::paper_judge_topic(topic.text);
}

const Profile& default_profile() {
  static const Profile profile = {
      .name = "default",
      .instruct_filter = "instruct.default.3",
      .topic_filter = "topics.default.1",
      .judge_task = default_judge_task,
      .judge_topic = default_judge_topic,
      .judge_question = default_judge_question,
      .rouge = text::RougeKind::kUnicode,
      .compares_whole_run = true,
      .balances_exemplars = true,
      .align = {"align.default.4", parse::read_answer},
      .verbose = {"verbose.default.4", parse::read_answer},
      .stops_at_turns = true,
      .banned_words = {},
      .learns_end_of_text = true,
      .repeats_identity = true,
      .one_verbose_prompt = true};
  return profile;
}

const Profile& paper_profile() {
  static const Profile profile = {
      .name = "paper",
      .instruct_filter = "instruct.paper.2",
      .topic_filter = "topics.paper.1",
      .judge_task = published_judge_task,
      .judge_topic = published_judge_topic,
      .judge_question = nullptr,
      .rouge = text::RougeKind::kPublished,
      .compares_whole_run = false,
      .balances_exemplars = false,
      .align = {"align.paper.1", parse::paper_read_align},
      .verbose = {"verbose.paper.2", parse::paper_read_verbose},
      .stops_at_turns = false,
      .banned_words = {"Sorry"},
      .learns_end_of_text = false,
      .repeats_identity = false,
      .one_verbose_prompt = false};
  return profile;
}

const Profile& paper2_profile() {
  static const Profile profile = [] {
    Profile second = paper_profile();
    second.name = "paper2";
    second.instruct_filter = "instruct.paper2.2";
    second.topic_filter = "topics.paper2.1";
    second.align = {"align.paper2.1", parse::paper2_read_align};
    second.verbose.name = "verbose.paper2.2";
    second.banned_words = {};
    return second;
  }();
  return profile;
}

std::array<std::string, 4> filters_of(const Profile& profile) {
  return {profile.instruct_filter, profile.topic_filter, profile.align.name,
          profile.verbose.name};
}

}  // namespace

const std::vector<std::string>& profile_names() {
  static const std::vector<std::string> names = {"default", "paper", "paper2"};
  return names;
}

const Profile& profile_named(const std::string& name) {
  if (name == "paper") return paper_profile();
  if (name == "paper2") return paper2_profile();
  SELFALIGN_CHECK(name == "default", name);
  return default_profile();
}

const Profile& other_profile(const Profile& own) {
  return own.name == "default" ? paper_profile() : default_profile();
}

std::string profile_of(const std::string& filter) {
  for (const std::string& name : profile_names()) {
    const auto filters = filters_of(profile_named(name));
    if (std::find(filters.begin(), filters.end(), filter) != filters.end()) {
      return name;
    }
  }
  return "";
}

std::string counterpart(const std::string& filter) {
  const std::string name = profile_of(filter);
  if (name.empty()) return "";
  const Profile& own = profile_named(name);
  const auto filters = filters_of(own);
  const auto at = std::find(filters.begin(), filters.end(), filter);
  return filters_of(other_profile(own))[size_t(at - filters.begin())];
}

}  // namespace selfalign::recipe
