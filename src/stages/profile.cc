#include "stages/profile.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "stages/paper_filters.h"

namespace selfalign::stages {
namespace {

Judgement default_judge_task(const ListedTask& task, const std::string& text) {
  if (task.cut_off) return Rejection{"malformed", "cut off"};
  return judge_instruction(text, false);
}

Judgement default_judge_topic(const ListedTopic& topic) {
  if (topic.cut_off) return Rejection{"malformed", "cut off"};
  return judge_topic(plain_topic(topic.text));
}

Judgement default_judge_question(const std::string& question) {
  return judge_instruction(question, true);
}

Judgement published_judge_task(const ListedTask& task, const std::string&) {
  return paper_judge_task(task);
}

Judgement published_judge_topic(const ListedTopic& topic) {
  return paper_judge_topic(topic.text);
}

const Profile& default_profile() {
  static const Profile profile = {.name = "default",
                                  .instruct_filter = "instruct.default.2",
                                  .topic_filter = "topics.default.1",
                                  .judge_task = default_judge_task,
                                  .judge_topic = default_judge_topic,
                                  .judge_question = default_judge_question,
                                  .compares_whole_run = true,
                                  .balances_exemplars = true,
                                  .align = {"align.default.2", read_answer},
                                  .verbose = {"verbose.default.2", read_answer},
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
      .instruct_filter = "instruct.paper.1",
      .topic_filter = "topics.paper.1",
      .judge_task = published_judge_task,
      .judge_topic = published_judge_topic,
      .judge_question = nullptr,
      .compares_whole_run = false,
      .balances_exemplars = false,
      .align = {"align.paper.1", paper_read_align},
      .verbose = {"verbose.paper.1", paper_read_verbose},
      .stops_at_turns = false,
      .banned_words = {"Sorry"},
      .learns_end_of_text = false,
      .repeats_identity = false,
      .one_verbose_prompt = false};
  return profile;
}

std::array<std::string, 4> filters_of(const Profile& profile) {
  return {profile.instruct_filter, profile.topic_filter, profile.align.name,
          profile.verbose.name};
}

}  // namespace

bool Profile::has_filter(const std::string& filter) const {
  const auto filters = filters_of(*this);
  return std::find(filters.begin(), filters.end(), filter) != filters.end();
}

const Profile& profile_named(const std::string& name) {
  SELFALIGN_CHECK(name == "default" || name == "paper", name);
  return name == "paper" ? paper_profile() : default_profile();
}

const Profile& other_profile(const Profile& own) {
  return own.name == "paper" ? default_profile() : paper_profile();
}

std::string counterpart(const std::string& filter) {
  for (const char* name : {"default", "paper"}) {
    const Profile& profile = profile_named(name);
    const auto filters = filters_of(profile);
    for (size_t i = 0; i < filters.size(); ++i) {
      if (filters[i] == filter) return filters_of(other_profile(profile))[i];
    }
  }
  return "";
}

}  // namespace selfalign::stages
