#include "stages/pace.h"

#include <gmock/gmock.h>

#include <cmath>

#include "base/file.h"
#include "stages/testing.h"

namespace selfalign::stages {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;

class PaceTest : public SmallRun {
 protected:
  PaceTest() {
    recipe_.instruct.num_instructions = 3;
    recipe_.instruct.num_red_team = 0;
    recipe_.num_held_out = 2;
    recipe_.engrave.epochs = 2;
    recipe_.engrave.batch_size = 2;
    recipe_.verbose.sampling.max_new_tokens = 100;
    write_file_atomic(folder_ + "/recipe.resolved.yaml", "");
  }
  RunPace pace() { return run_pace(recipe_, prompts_, *store_); }
  static const StepPace& step(const RunPace& pace, const std::string& name) {
    for (const StepPace& one : pace.steps) {
      if (one.step == name) return one;
    }
    ADD_FAILURE() << name;
    return pace.steps[0];
  }

  Recipe recipe_;
};

TEST_F(PaceTest, RatesComeFromTheCompletions) {
  const RunPace now = pace();
  const StepPace& align = step(now, "align");
  EXPECT_TRUE(align.finished);
  EXPECT_EQ(align.done, 3);
  EXPECT_EQ(align.num_tokens, 60);
  EXPECT_DOUBLE_EQ(align.tokens_per_s, 30.0);  // 3 of 20 tokens in 2 seconds
  EXPECT_DOUBLE_EQ(align.units_per_s, 1.5);
  EXPECT_EQ(align.left_s, 0.0);
  EXPECT_EQ(now.last_s, 1002.0);
  // Not begun: as many tokens as it may, at the rate of the last generation.
  EXPECT_DOUBLE_EQ(step(now, "verbose").left_s, 3 * 100 / 30.0);
  EXPECT_EQ(step(now, "engrave").left_s, -1.0);  // no tuning yet
  EXPECT_FALSE(now.all_known || now.done);
}

TEST_F(PaceTest, TuningsAreReadFromTheirMetrics) {
  make_folder(folder_ + "/engraved");
  write_file_atomic(folder_ + "/engraved/metrics.jsonl",
                    "{\"step\":1,\"num_tokens\":50,\"tokens_per_s\":25}\n"
                    "{\"step\":2,\"num_tokens\":50,\"tokens_per_s\":50}\n"
                    "{\"step\":3,\"num_tok");
  store_->add_rows({{40, "engrave.samples", 0, {}, Json::object()},
                    {41, "engrave.samples", 1, {}, Json::object()},
                    {42, "engrave.samples", 2, {}, Json::object()}});
  const RunPace now = pace();
  const StepPace& engrave = step(now, "engrave");
  EXPECT_EQ(engrave.total, 6);  // 3 samples, 2 epochs
  EXPECT_EQ(engrave.done, 4);
  EXPECT_EQ(engrave.num_tokens, 100);
  EXPECT_DOUBLE_EQ(engrave.tokens_per_s, 100.0 / 3.0);
  EXPECT_DOUBLE_EQ(engrave.left_s, 2.0 / (4.0 / 3.0));
  EXPECT_TRUE(now.all_known);
}

TEST_F(PaceTest, SaysWhetherAnythingGoesOn) {
  RunPace now = pace();
  EXPECT_EQ(*now.writer, str("process ", getpid()));
  EXPECT_THAT(state_text(now, 1010.0), HasSubstr("running as process"));
  EXPECT_THAT(state_text(now, 1902.0), HasSubstr("nothing came for 15m00s"));
  store_.reset();
  store_ = store::Store::open(folder_, store::OpenMode::kReadOnly);
  now = pace();
  EXPECT_FALSE(now.writer.has_value());
  EXPECT_THAT(state_text(now, 1062.0), HasSubstr("stopped since "));
  EXPECT_THAT(state_text(now, 1062.0), HasSubstr("(1m00s ago)"));
  const std::string text = pace_text(now, 1062.0);
  EXPECT_THAT(text, HasSubstr("3/3 rows"));
  EXPECT_THAT(text, HasSubstr("without the steps marked ?"));
  write_file_atomic(folder_ + "/report.json", "{}");
  EXPECT_EQ(state_text(pace(), 5000.0), "done");
}

// Topics grow in rounds, and the engraved model is asked about itself.
TEST_F(PaceTest, ThePaperProfileAsksMore) {
  recipe_.profile = "paper";
  recipe_.instruct.num_red_team = 6;
  recipe_.instruct.topic_rounds = 2;
  recipe_.instruct.max_requests = 1000;
  recipe_.identity_repeats = 4;
  const int64_t num_identity = 4 * int64_t(prompts_.identity.size());
  RunPace now = pace();
  // 20 types of 3 topics; then 10 for each that there was.
  EXPECT_EQ(step(now, "red-team topics").total, 60 + 600);
  EXPECT_EQ(step(now, "verbose").total, 3 + 6 + num_identity);
  EXPECT_EQ(
      step(now, "final tuning").total,
      std::llround(2 / 3.0 * double(9 + num_identity)) * recipe_.final.epochs);
  recipe_.instruct.topic_rounds = 6;
  for (int64_t i = 0; i < 2; ++i) {
    store_->add_rows(
        {{50 + uint64_t(i), "redteam.topic_requests", i, {}, Json::object()}});
    store::StoredCompletion stored;
    stored.completion.key = 50 + uint64_t(i);
    stored.completion.num_tokens = 10;
    stored.time_s = 1000.0 + double(i);
    store_->add_completion(stored);
  }
  now = pace();
  EXPECT_EQ(step(now, "red-team topics").total, 1000);
  EXPECT_GT(step(now, "red-team topics").units_per_s, 0.0);
  EXPECT_THAT(pace_text(now, 1002.0),
              ContainsRegex("red-team topics +2/1000 .*at most"));
  finish_stage(*store_, "redteam.topic_requests", "", 2);
  now = pace();
  EXPECT_EQ(step(now, "red-team topics").total, 2);
  EXPECT_EQ(step(now, "red-team topics").left_s, 0.0);
}

TEST_F(PaceTest, AForecastScalesWhatTheSmallRunTook) {
  RunPace small = pace();
  small.begin_s = 996.0;
  Recipe whole = recipe_;
  whole.instruct.num_instructions = 300;
  for (const StepForecast& one : forecast(whole, prompts_, small)) {
    if (one.step != "align") continue;
    EXPECT_EQ(one.total, 300);
    EXPECT_DOUBLE_EQ(one.tokens, 6000.0);
    EXPECT_DOUBLE_EQ(one.seconds, 600.0);  // 6 seconds for 3 rows
    return;
  }
  ADD_FAILURE() << "no align";
}

}  // namespace
}  // namespace selfalign::stages
