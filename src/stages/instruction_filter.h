// SPDX-License-Identifier: Apache-2.0
// Stage 1's verdicts on tasks, topics and questions: what a profile makes of
// one by itself, and what it has kept before.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "parse/dedup.h"
#include "recipe/profile.h"
#include "recipe/prompts.h"
#include "recipe/recipe.h"
#include "stages/completing.h"
#include "stages/contamination.h"
#include "stages/likelihood.h"
#include "stages/run.h"

namespace selfalign::stages {

// What decides beside a text itself and what was kept before.
struct Circumstances {
  bool surplus = false;  // there are enough already: what is good is "surplus"
  parse::Judgement contaminated;  // stands in an evaluation set
  // Whether the model finds it unlikely; asked only of what is good otherwise,
  // and by profile default.
  std::function<parse::Judgement()> unlikely;
};

// One profile's memory. A text that is judged and not rejected is remembered.
class InstructionFilter {
 public:
  // Seeds count as kept.
  InstructionFilter(const recipe::Profile& profile,
                    const recipe::InstructOptions& options,
                    const recipe::Prompts& prompts);

  parse::Judgement judge(const parse::ListedTask& task, const std::string& text,
                         const Circumstances& circumstances);
  parse::Judgement judge(const parse::ListedQuestion& question,
                         const Circumstances& circumstances);
  parse::Judgement judge(const parse::ListedTopic& topic);
  // What says nothing of others.
  parse::Judgement judge_alone(const parse::ListedTask& task,
                               const std::string& text) const;
  parse::Judgement judge_alone(const parse::ListedQuestion& question) const;
  // A task kept by an earlier process.
  void remember_task(const std::string& task);
  // A question judged by an earlier process.
  void remember_question(const parse::ListedQuestion& question,
                         const store::Verdict& verdict);

  const recipe::Profile& profile() const { return profile_; }
  // It judges as the published code, which asks no model.
  bool is_published() const { return profile_.judge_question == nullptr; }

 private:
  void begin_shard();
  parse::Judgement judge_form(const std::string& text, bool red_team) const;
  parse::Judgement judge_likelihood(const Circumstances& circumstances) const;

  const recipe::Profile& profile_;
  const recipe::InstructOptions& options_;
  const recipe::Prompts& prompts_;
  parse::Dedup dedup_;  // of the run, or of the shard
  int in_shard_ = 0;
  std::set<std::string> shard_texts_;  // of this shard, letters and digits
  std::set<std::string> earlier_;      // of the shards before it
  std::set<std::pair<std::string, std::string>> topics_;  // type, lower case
  std::set<std::pair<std::string, std::string>> asked_;   // type, topic
};

// The profile of a run, whose verdict is returned, and the other one where both
// judge. The verdicts on row `key` are added to `out`.
class InstructionFilters {
 public:
  explicit InstructionFilters(const Run& run);

  parse::Judgement judge(uint64_t key, const parse::ListedTask& task,
                         const std::string& text, bool surplus, Accepted& out);
  parse::Judgement judge(uint64_t key, const parse::ListedQuestion& question,
                         bool surplus, Accepted& out);
  parse::Judgement judge(uint64_t key, const parse::ListedTopic& topic,
                         Accepted& out);
  // A row that is judged soon, if judging it will ask for a score, as far as
  // can be told before the rows ahead of it are judged.
  void foresee(uint64_t key, const parse::ListedTask& task,
               const std::string& text, std::vector<ScoredText>& out) const;
  void foresee(uint64_t key, const parse::ListedQuestion& question,
               std::vector<ScoredText>& out) const;
  bool asks_scores() const;
  void foresee(const std::vector<ScoredText>& texts) {
    likelihoods_->foresee(texts);
  }
  // Rows of scores so far; an earlier process may have made some.
  int64_t num_scores() const {
    return likelihoods_ == nullptr ? 0 : likelihoods_->num_rows();
  }
  void set_num_scores(int64_t number) {
    if (likelihoods_ != nullptr) likelihoods_->set_num_rows(number);
  }
  // Of the rows that are judged from now on; null: none is asked for. Needed
  // where instruct.min_log_likelihood is set.
  void set_likelihoods(Likelihoods* likelihoods) { likelihoods_ = likelihoods; }
  // Takes up what an earlier process kept of the stage `tasks`.
  void recall_tasks(const store::Reader& store, const std::string& tasks);
  // The same of one question, by the verdict of the run's profile; where that
  // judges alone.
  void recall_question(const parse::ListedQuestion& question,
                       const store::Verdict& verdict);

  const recipe::Profile& profile() const { return own_.profile(); }
  const ContaminationGuard& guard() const { return guard_; }

 private:
  // What `judge` makes of each filter is the verdict under the name that its
  // profile has in the member `name`.
  template <typename Judge>
  parse::Judgement judge_by_all(uint64_t key,
                                std::string recipe::Profile::*name,
                                const Judge& judge, Accepted& out);
  parse::Judgement judge_likelihood(uint64_t key, const std::string& text,
                                    Accepted& out);

  const recipe::InstructOptions& options_;
  const std::string before_;  // what the user's words follow
  Likelihoods* likelihoods_ = nullptr;
  ContaminationGuard guard_;
  InstructionFilter own_;
  std::optional<InstructionFilter> other_;
};

// The verdict of `filter` on row `key`.
store::Verdict verdict_of(uint64_t key, const std::string& filter,
                          const parse::Judgement& judgement);

}  // namespace selfalign::stages
