// SPDX-License-Identifier: Apache-2.0
// Verdicts by a model's own likelihood (instruct.min_log_likelihood, min_gain
// of align and verbose), whose numbers are in the store so that all else
// follows from them, and by an answer's form (max_repetition, need_end).
#include <gtest/gtest.h>

#include <functional>
#include <map>

#include "parse/repetition.h"
#include "parse/subject.h"
#include "recipe/profile.h"
#include "recipe/prompts.h"
#include "replay/fork.h"
#include "replay/replayed_run.h"
#include "replay/whole_run.h"
#include "scripted_runs.h"
#include "stages/row_reading.h"

namespace selfalign::tests {
namespace {

using recipe::Recipe;
using store::Reader;
using store::Row;

class ThresholdsTest : public ScriptedRunsTest {
 protected:
  Recipe recipe(const std::string& name) const {
    Recipe recipe = small_recipe(path(name));
    recipe.instruct.min_log_likelihood = -16.0;
    recipe.align.limits.min_gain = -0.3;
    recipe.verbose.limits.min_gain = -0.2;
    return recipe;
  }
};

double mean_of(const Row& score) {
  return score.content["logprob"].get<double>() /
         score.content["tokens"].get<double>();
}

std::string outcome_of(const Reader& store, uint64_t key) {
  for (const store::Verdict& verdict : store.verdicts(key)) {
    if (verdict.filter.find(".default.") == std::string::npos) continue;
    return verdict.kept ? "kept" : verdict.reason;
  }
  return "none";
}

TEST_F(ThresholdsTest, WhatIsUnlikelyIsIncoherent) {
  run(recipe("a"));
  const auto store = open("a");
  const replay::ReplayedRun both(*store, stages::Judging::kBoth);
  const std::string paper = recipe::profile_named("paper").instruct_filter;
  for (const char* stage : {"instruct.tasks", "redteam.questions"}) {
    std::map<std::string, int> outcomes;
    for (const Row& score : store->rows(std::string(stage) + ".scores")) {
      EXPECT_EQ(score.content["of"], "instruction");
      const Row judged = *store->row(score.parents.at(0));
      EXPECT_EQ(judged.stage, stage);
      const std::string outcome = outcome_of(*store, judged.key);
      ++outcomes[outcome];
      EXPECT_EQ(outcome == "incoherent",
                score.content["logprob"].get<double>() < -16.0)
          << outcome;
    }
    EXPECT_GT(outcomes["incoherent"], 0) << stage;
    EXPECT_GT(outcomes["kept"], 0) << stage;
    const auto rejections = both.store().rejections(stage, paper);
    EXPECT_FALSE(rejections.empty()) << stage;
    for (const auto& [reason, count] : rejections) {
      EXPECT_NE(reason, "incoherent") << count;
    }
  }
}

TEST_F(ThresholdsTest, WhatTheInstructionMakesNoLikelierIsOffTopic) {
  WorldOptions world;
  world.strays = true;
  run(recipe("a"), world);
  const auto store = open("a");
  for (const auto& [stage, min_gain] : std::map<std::string, double>{
           {"align.answers", -0.3}, {"verbose.answers", -0.2}}) {
    std::map<std::string, int> outcomes;
    const auto scores = store->rows(stage + ".scores");
    ASSERT_EQ(scores.size() % 2, 0u);
    for (size_t i = 0; i < scores.size(); i += 2) {
      EXPECT_EQ(scores[i].content["of"], "answer");
      EXPECT_EQ(scores[i + 1].content["of"], "answer alone");
      ASSERT_EQ(scores[i].parents, scores[i + 1].parents);
      const std::string outcome = outcome_of(*store, scores[i].parents.at(0));
      ++outcomes[outcome];
      const double gain = mean_of(scores[i]) - mean_of(scores[i + 1]);
      EXPECT_EQ(outcome == "off_topic", gain < min_gain) << outcome;
    }
    EXPECT_GT(outcomes["off_topic"], 0) << stage;
    EXPECT_GT(outcomes["kept"], 0) << stage;
  }
}

// Where a server scores, rows that wait are scored together: a few calls for
// hundreds of texts, and the run is the same to the bit.
TEST_F(ThresholdsTest, ScoresAreAskedForTogether) {
  WorldOptions world;
  world.strays = true;
  world.num_slots = 16;
  const std::string digest = run(recipe("a"), world);
  size_t num_scores = 0;
  for (const char* stage : {"instruct.tasks", "redteam.questions",
                            "align.answers", "verbose.answers"}) {
    num_scores += open("a")->rows(stage + std::string(".scores")).size();
  }
  int num_calls = 0;
  world.num_score_calls = &num_calls;
  EXPECT_EQ(run(recipe("b"), world), digest);
  EXPECT_LT(size_t(num_calls), num_scores / 8) << num_scores;
}

// Of the answers of stage 2 that are kept or rejected for `reason`, just those
// are rejected that are `wrong`, and there are some of both.
void expect_rejected(
    const ScriptedRuns& runs, const std::string& reason,
    const std::function<bool(const std::string& instruction,
                             const std::string& answer)>& wrong) {
  const auto store = runs.open("a");
  const recipe::Prompts prompts =
      recipe::load_prompts(runs.path("a") + "/prompts");
  std::map<std::string, int> outcomes;
  store->scan("align.answers", "", [&](const store::SeenRow& seen) {
    const std::string outcome = outcome_of(*store, seen.row.key);
    if (outcome != "kept" && outcome != reason) return true;
    ++outcomes[outcome];
    const std::string answer =
        stages::answer_of(prompts, seen.row.stage,
                          seen.completion->completion.text)
            .answer;
    EXPECT_EQ(outcome == reason,
              wrong(seen.row.content.at("instruction"), answer))
        << answer;
    return true;
  });
  EXPECT_GT(outcomes[reason], 0);
  EXPECT_GT(outcomes["kept"], 0);
  EXPECT_TRUE(is_sound(runs.path("a")));
}

TEST_F(ThresholdsTest, WhatSaysItsWordsAgainIsARepetition) {
  WorldOptions world;
  world.repeats = true;
  Recipe strict = small_recipe(path("a"));
  strict.align.limits.max_repetition = 0.1;
  run(strict, world);
  expect_rejected(*this, "repetition",
                  [](const std::string&, const std::string& answer) {
                    return parse::repeated_share(answer) > 0.1;
                  });
}

TEST_F(ThresholdsTest, WhatHasFewNewWordsOfContentCopiesTheInstruction) {
  Recipe strict = small_recipe(path("a"));
  strict.align.limits.min_new_content = 0.6;
  run(strict);
  expect_rejected(
      *this, "copies_instruction",
      [](const std::string& instruction, const std::string& answer) {
        return parse::new_content_share(instruction, answer) < 0.6;
      });
}

TEST_F(ThresholdsTest, WhatWasCutOffIsRejectedWhereAnEndIsNeeded) {
  Recipe strict = small_recipe(path("a"));
  strict.verbose.sampling.max_new_tokens = 60;
  strict.verbose.limits.need_end = true;
  run(strict);
  const auto store = open("a");
  std::map<std::string, int> outcomes;
  store->scan("verbose.answers", "", [&](const store::SeenRow& seen) {
    const std::string outcome = outcome_of(*store, seen.row.key);
    ++outcomes[outcome];
    const bool cut =
        seen.completion->completion.finish == generate::Finish::kLength;
    if (outcome == "kept") EXPECT_FALSE(cut);
    if (outcome == "cut_off") EXPECT_TRUE(cut);
    return true;
  });
  EXPECT_GT(outcomes["cut_off"], 0);
  EXPECT_GT(outcomes["kept"], 0);
  for (const Row& pair : store->rows("verbose.pairs")) {
    EXPECT_EQ(pair.content["ends"], true);
  }
  EXPECT_TRUE(is_sound(path("a")));
}

TEST_F(ThresholdsTest, ARunIsPlayedAgainWithoutTheModel) {
  run(recipe("a"));
  EXPECT_TRUE(is_sound(path("a")));
}

TEST_F(ThresholdsTest, WhereverItIsStoppedAndWithHoweverManySlotsItIsTheSame) {
  const std::string digest = run(recipe("a"));
  WorldOptions slots;
  slots.num_slots = 9;
  EXPECT_EQ(run(recipe("slots"), slots), digest);
  for (const int commits : {4, 9, 16, 25, 33}) {
    const std::string name = "stopped" + std::to_string(commits);
    run_until(recipe(name), after_commits(commits));
    EXPECT_EQ(run(recipe(name)), digest) << commits;
  }
}

TEST_F(ThresholdsTest, AForkWithAnotherThresholdIsARunFromScratch) {
  run(recipe("a"));
  Recipe changed = recipe("b");
  changed.align.limits.min_gain = 0.1;
  ScriptedWorkbench workbench({});
  const auto fork = replay::open_fork(changed, path("a"), "");
  replay::run_to_end(changed, workbench, *fork);
  const std::string digest = fork->run_digest();
  changed.run_folder = path("fresh");
  EXPECT_EQ(run(changed), digest);
}

TEST_F(ThresholdsTest, WithoutThresholdsNothingIsScored) {
  run(small_recipe(path("a")));
  for (const std::string& stage : open("a")->stages()) {
    EXPECT_FALSE(stage.ends_with(".scores")) << stage;
  }
}

}  // namespace
}  // namespace selfalign::tests
