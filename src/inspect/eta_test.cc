// SPDX-License-Identifier: Apache-2.0
#include "inspect/eta.h"

#include <gmock/gmock.h>

#include <cmath>

#include "base/file.h"
#include "stages/testing.h"
#include "stages/work.h"

namespace selfalign::inspect {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;

class EtaTest : public stages::SmallRun {
 protected:
  EtaTest() {
    recipe_.instruct.num_instructions = 3;
    recipe_.instruct.num_red_team = 0;
    recipe_.num_held_out = 2;
    recipe_.engrave.epochs = 2;
    recipe_.engrave.batch_size = 2;
    recipe_.verbose.sampling.max_new_tokens = 100;
    write_file_atomic(folder_ + "/recipe.resolved.yaml", "");
  }
  RunEta eta() { return run_eta(recipe_, prompts_, *store_); }
  static const StepEta& step(const RunEta& eta, const std::string& name) {
    for (const StepEta& one : eta.steps) {
      if (one.step == name) return one;
    }
    ADD_FAILURE() << name;
    return eta.steps[0];
  }

  recipe::Recipe recipe_;
};

TEST_F(EtaTest, RatesComeFromTheWorkDone) {
  stages::add_work(*store_, "align.answers", {1.5, 40, 2});
  stages::add_work(*store_, "align.answers", {0.5, 20, 1});
  const RunEta now = eta();
  const StepEta& align = step(now, "align");
  EXPECT_TRUE(align.finished);
  EXPECT_EQ(align.done, 3);
  EXPECT_EQ(align.num_tokens, 60);
  EXPECT_EQ(align.seconds, 2.0);
  EXPECT_DOUBLE_EQ(align.tokens_per_s, 30.0);  // 3 of 20 tokens in 2 seconds
  EXPECT_DOUBLE_EQ(align.units_per_s, 1.5);
  EXPECT_EQ(align.left_s, 0.0);
  EXPECT_EQ(now.last_s, 1002.0);
  // Not begun: as many tokens as it may, at the rate of the last generation.
  EXPECT_DOUBLE_EQ(step(now, "verbose").left_s, 3 * 100 / 30.0);
  EXPECT_EQ(step(now, "engrave").left_s, -1.0);  // no tuning yet
  EXPECT_FALSE(now.all_known || now.done);
}

// When completions came says nothing of how long they took.
TEST_F(EtaTest, WithoutAClockThereAreNoRates) {
  RunEta now = eta();
  const StepEta& align = step(now, "align");
  EXPECT_EQ(align.done, 3);
  EXPECT_EQ(align.num_tokens, 60);
  EXPECT_EQ(align.seconds, -1.0);
  EXPECT_EQ(align.tokens_per_s, 0.0);
  EXPECT_EQ(step(now, "verbose").left_s, -1.0);
  EXPECT_FALSE(to_json(now)["steps"][0].contains("seconds"));
  // A part that was timed gives a rate, but no time for the whole.
  stages::add_work(*store_, "align.answers", {1.0, 20, 1});
  now = eta();
  EXPECT_EQ(step(now, "align").seconds, -1.0);
  EXPECT_EQ(step(now, "align").num_tokens, 60);
  EXPECT_EQ(step(now, "align").tokens_per_s, 20.0);
  // The rest came from another run.
  stages::add_work(*store_, "align.answers", {0.0, 0, 0, 2});
  now = eta();
  EXPECT_EQ(step(now, "align").seconds, 1.0);
  EXPECT_EQ(step(now, "align").num_tokens, 20);
}

TEST_F(EtaTest, TuningsAreReadFromTheirMetrics) {
  stages::add_work(*store_, "align.answers", {2.0, 60, 3});
  make_folder(folder_ + "/engraved");
  write_file_atomic(folder_ + "/engraved/metrics.jsonl",
                    "{\"step\":1,\"num_tokens\":50,\"tokens_per_s\":25}\n"
                    "{\"step\":2,\"num_tokens\":50,\"tokens_per_s\":50}\n"
                    "{\"step\":3,\"num_tok");
  store_->add_rows({{40, "engrave.samples", 0, {}, Json::object()},
                    {41, "engrave.samples", 1, {}, Json::object()},
                    {42, "engrave.samples", 2, {}, Json::object()}});
  const RunEta now = eta();
  const StepEta& engrave = step(now, "engrave");
  EXPECT_EQ(engrave.total, 6);  // 3 samples, 2 epochs
  EXPECT_EQ(engrave.done, 4);
  EXPECT_EQ(engrave.num_tokens, 100);
  EXPECT_DOUBLE_EQ(engrave.seconds, 3.0);
  EXPECT_DOUBLE_EQ(engrave.tokens_per_s, 100.0 / 3.0);
  EXPECT_DOUBLE_EQ(engrave.left_s, 2.0 / (4.0 / 3.0));
  EXPECT_TRUE(now.all_known);
}

TEST_F(EtaTest, SaysWhetherAnythingGoesOn) {
  RunEta now = eta();
  EXPECT_EQ(*now.writer, str("process ", getpid()));
  EXPECT_THAT(state_text(now, 1010.0), HasSubstr("running as process"));
  EXPECT_THAT(state_text(now, 1902.0), HasSubstr("nothing came for 15m00s"));
  store_.reset();
  const auto reader = store::Reader::open(folder_);
  now = run_eta(recipe_, prompts_, *reader);
  EXPECT_FALSE(now.writer.has_value());
  EXPECT_THAT(state_text(now, 1062.0), HasSubstr("stopped since "));
  EXPECT_THAT(state_text(now, 1062.0), HasSubstr("(1m00s ago)"));
  const std::string text = eta_text(now, 1062.0);
  EXPECT_THAT(text, HasSubstr("3/3 rows"));
  EXPECT_THAT(text, HasSubstr("without the steps marked ?"));
  // A file by itself says nothing.
  write_file_atomic(folder_ + "/report.json", "{}");
  EXPECT_NE(state_text(run_eta(recipe_, prompts_, *reader), 5000.0), "done");
  store_ = store::Store::open(folder_);
  store_->set_meta(store::kDone, "1");
  EXPECT_EQ(state_text(eta(), 5000.0), "done");
}

// Topics grow in rounds, and the engraved model is asked about itself.
TEST_F(EtaTest, ThePaperProfileAsksMore) {
  recipe_.profile = "paper";
  recipe_.instruct.num_red_team = 6;
  recipe_.instruct.topic_rounds = 2;
  recipe_.instruct.max_requests = 1000;
  recipe_.identity_repeats = 4;
  recipe_.identity_share = 1.0;
  const int64_t num_identity = 4 * int64_t(prompts_.identity.size());
  RunEta now = eta();
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
  stages::add_work(*store_, "redteam.topic_requests", {1.0, 20, 2});
  now = eta();
  EXPECT_EQ(step(now, "red-team topics").total, 1000);
  EXPECT_GT(step(now, "red-team topics").units_per_s, 0.0);
  EXPECT_THAT(eta_text(now, 1002.0),
              ContainsRegex("red-team topics +2/1000 .*at most"));
  stages::finish_stage(*store_, "redteam.topic_requests", "", 2);
  now = eta();
  EXPECT_EQ(step(now, "red-team topics").total, 2);
  EXPECT_EQ(step(now, "red-team topics").left_s, 0.0);
}

TEST_F(EtaTest, AForecastScalesWhatTheSmallRunTook) {
  stages::add_work(*store_, "align.answers", {6.0, 60, 3});
  recipe::Recipe whole = recipe_;
  whole.instruct.num_instructions = 300;
  for (const StepForecast& one : forecast(whole, prompts_, eta(), *store_)) {
    if (one.step != "align") continue;
    EXPECT_EQ(one.total, 300);
    EXPECT_DOUBLE_EQ(one.tokens, 6000.0);
    EXPECT_DOUBLE_EQ(one.seconds, 600.0);  // 6 seconds for 3 rows
    return;
  }
  ADD_FAILURE() << "no align";
}

// A file that is taken whole says nothing of its rows in the recipe.
TEST_F(EtaTest, AForecastCountsTheRowsOfGivenFiles) {
  std::string prompts = "{\"prompt\": 3}\n";  // cannot be read
  for (int i = 0; i < 7; ++i) prompts += str("{\"prompt\": \"p", i, "\"}\n");
  write_file_atomic(folder_ + "/p.jsonl", prompts);
  write_file_atomic(folder_ + "/d.jsonl",
                    "{\"instruction\": \"a\", \"output\": \"b\"}\n"
                    "{\"instruction\": \"c\"}\n");
  recipe::Recipe whole = recipe_;
  const auto totals = [&] {
    Json totals = Json::object();
    for (const StepForecast& one : forecast(whole, prompts_, eta(), *store_)) {
      totals[one.step] = one.total;
    }
    return totals;
  };
  recipe_.stages = whole.stages = {"align", "engrave", "verbose"};
  recipe_.identity_repeats = whole.identity_repeats = 0;
  recipe_.instructions = {folder_ + "/p.jsonl", 3};  // as preview_recipe says
  whole.instructions.path = recipe_.instructions.path;
  EXPECT_EQ(totals()["align"], 7);
  EXPECT_GT(totals()["engrave"], 0);
  EXPECT_EQ(totals()["verbose"], 7);
  EXPECT_GT(totals()["final tuning"], 0);
  whole.instructions.max_rows = 3;  // the first of them is the bad one
  EXPECT_EQ(totals()["align"], 2);
  whole.instructions.max_rows = 100;
  EXPECT_EQ(totals()["align"], 7);
  recipe_.stages = whole.stages = {"tune"};
  whole.instructions = {};
  whole.data.path = folder_ + "/d.jsonl";
  whole.tune.epochs = 2;
  EXPECT_EQ(totals()["tune"], 2);  // one conversation, two epochs
}

// They are as long as they are, whatever the generated samples took.
TEST_F(EtaTest, AForecastTakesIdentityRowsByTheirLength) {
  double chars = 0.0;
  for (const recipe::IdentityRow& row : prompts_.identity) {
    chars += double(row.question.size() + row.answer.size());
  }
  const double num_identity = double(prompts_.identity.size());
  const double mean = chars / num_identity;
  // Two samples of ten times an identity row, in four seconds.
  const std::string text(size_t(10.0 * mean), 'x');
  for (uint64_t i = 0; i < 2; ++i) {
    store_->add_rows({{40 + i,
                       "engrave.samples",
                       int64_t(i),
                       {},
                       Json{{"instruction", ""}, {"response", text}}}});
  }
  make_folder(folder_ + "/engraved");
  write_file_atomic(folder_ + "/engraved/metrics.jsonl",
                    "{\"step\":1,\"num_tokens\":400,\"tokens_per_s\":100}\n");
  recipe_.engrave.epochs = 1;
  RunEta small = eta();
  recipe::Recipe whole = recipe_;
  whole.instruct.num_instructions = 300;  // two of three become pairs
  whole.identity_share = 1.0;
  const auto engrave = [&]() -> StepForecast {
    for (StepForecast& one : forecast(whole, prompts_, small, *store_)) {
      if (one.step == "engrave") return one;
    }
    return {};
  };
  EXPECT_EQ(engrave().total, 200 + int64_t(num_identity));
  EXPECT_NEAR(engrave().seconds, 2.0 * (200 + num_identity / 10.0), 1.0);
  EXPECT_NEAR(engrave().tokens, 200.0 * (200 + num_identity / 10.0), 100.0);
  whole.identity_share = 0.2;  // 50 of them beside 200
  EXPECT_EQ(engrave().total, 250);
  EXPECT_NEAR(engrave().seconds, 2.0 * (200 + 5.0), 1.0);
}

}  // namespace
}  // namespace selfalign::inspect
