// Stage 1's verdicts on tasks, topics and questions: what a profile makes of
// one by itself, and what it has kept before. Both profiles judge every row;
// the run's own decides.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "stages/completing.h"
#include "stages/contamination.h"
#include "stages/dedup.h"
#include "stages/likelihood.h"
#include "stages/profile.h"
#include "stages/prompts.h"
#include "stages/recipe.h"

namespace selfalign::stages {

// What decides beside a text itself and what was kept before.
struct Circumstances {
  bool surplus = false;  // there are enough already: what is good is "surplus"
  Judgement contaminated;  // stands in an evaluation set
  // Whether the model finds it unlikely; asked only of what is good otherwise,
  // and by profile default.
  std::function<Judgement()> unlikely;
};

// One profile's memory. A text that is judged and not rejected is remembered.
class InstructionFilter {
 public:
  // Seeds count as kept.
  InstructionFilter(const Profile& profile, const InstructOptions& options,
                    const Prompts& prompts);

  Judgement judge(const ListedTask& task, const std::string& text,
                  const Circumstances& circumstances);
  Judgement judge(const ListedQuestion& question,
                  const Circumstances& circumstances);
  Judgement judge(const ListedTopic& topic);
  // A task kept by an earlier process.
  void remember_task(const std::string& task);

  const Profile& profile() const { return profile_; }

 private:
  void begin_shard();
  bool is_published() const { return profile_.judge_question == nullptr; }
  Judgement judge_form(const std::string& text, bool red_team) const;
  Judgement judge_likelihood(const Circumstances& circumstances) const;

  const Profile& profile_;
  const InstructOptions& options_;
  const Prompts& prompts_;
  Dedup dedup_;  // of the run, or of the shard
  int in_shard_ = 0;
  std::set<std::string> shard_texts_;  // of this shard, letters and digits
  std::set<std::string> earlier_;      // of the shards before it
  std::set<std::pair<std::string, std::string>> topics_;  // type, lower case
  std::set<std::pair<std::string, std::string>> asked_;   // type, topic
};

// The run's own profile, whose verdict is returned, and the other one. Both
// verdicts on row `key` are added to `out`.
class InstructionFilters {
 public:
  InstructionFilters(const Recipe& recipe, const Prompts& prompts);

  Judgement judge(uint64_t key, const ListedTask& task, const std::string& text,
                  bool surplus, Accepted& out);
  Judgement judge(uint64_t key, const ListedQuestion& question, bool surplus,
                  Accepted& out);
  Judgement judge(uint64_t key, const ListedTopic& topic, Accepted& out);
  // Of the rows that are judged from now on; null: none is asked for. Needed
  // where instruct.min_log_likelihood is set.
  void set_likelihoods(Likelihoods* likelihoods) { likelihoods_ = likelihoods; }
  // Takes up what an earlier process kept of the stage `tasks`.
  void recall_tasks(const store::Store& store, const std::string& tasks);

  const Profile& profile() const { return own_.profile(); }
  const ContaminationGuard& guard() const { return guard_; }

 private:
  Judgement judge_likelihood(uint64_t key, const std::string& text,
                             Accepted& out);

  const InstructOptions& options_;
  const std::string before_;  // what the user's words follow
  Likelihoods* likelihoods_ = nullptr;
  ContaminationGuard guard_;
  InstructionFilter own_;
  InstructionFilter other_;
};

// The verdict of `filter` on row `key`.
store::Verdict verdict_of(uint64_t key, const std::string& filter,
                          const Judgement& judgement);

}  // namespace selfalign::stages
