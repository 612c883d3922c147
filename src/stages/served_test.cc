// SPDX-License-Identifier: Apache-2.0
#include "stages/served.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>

#include "base/child_process.h"
#include "base/error.h"
#include "base/file.h"
#include "base/folder.h"
#include "base/log.h"
#include "base/testing.h"

namespace selfalign::stages {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// Every token has the same log-probability; 0: none is told.
class FlatModel final : public generate::Generator {
 public:
  FlatModel(double logprob, int first_id)
      : logprob_(logprob), first_id_(first_id) {}

  void generate(const generate::NextRequest& next,
                const generate::OnCompletion& done) override {
    while (const auto request = next()) {
      generate::Completion completion{.key = request->key, .text = "a"};
      completion.num_prompt_tokens = int(request->suffix.size());
      if (logprob_ != 0) completion.token_logprobs = {float(logprob_)};
      done(std::move(completion));
    }
  }
  std::vector<generate::Scores> score(
      const std::vector<generate::ScoreRequest>&) override {
    return {};
  }
  std::string fingerprint() const override { return "flat"; }
  int count_tokens(const std::string& text) const override {
    return int(text.size());
  }
  std::vector<int> token_ids(const std::string&) const override {
    return {first_id_, 2, 3};
  }

 private:
  const double logprob_;
  const int first_id_;
};

// Models by "here" or "served", and by the adapter's folder.
class FlatWorkbench final : public Workbench {
 public:
  std::map<std::string, double> logprobs;
  std::map<std::string, int> num_opened;
  int served_id = 1;
  bool asks = true;

  bool asks_models() const override { return asks; }
  std::unique_ptr<generate::Generator> open_generator(
      const recipe::ModelOptions& model, const std::string& adapter) override {
    const bool is_served = model.is_served();
    const std::string name =
        str(is_served ? "served " : "here ",
            adapter.empty()                                  ? ""
            : adapter.find("/verbose/") != std::string::npos ? "verbose"
                                                             : "adapter");
    ++num_opened[name];
    // What a command of the test has the servers answer with.
    if (is_served && is_file(state)) {
      return std::make_unique<FlatModel>(std::stod(read_file(state)), 1);
    }
    return std::make_unique<FlatModel>(logprobs.at(name),
                                       is_served ? served_id : 1);
  }
  std::vector<bool> fit(const recipe::ModelOptions&, const TuneOptions&,
                        const std::vector<TrainingSample>&) override {
    return {};
  }
  TuneReport tune(const recipe::ModelOptions&, const TuneOptions&,
                  const recipe::TrainerOptions&,
                  const std::vector<TrainingSample>&,
                  const std::string&) override {
    return {};
  }

  std::string state;
};

class ServedModelsTest : public ::testing::Test {
 protected:
  ServedModelsTest() {
    set_log_level(LogLevel::kError);
    make_folder(adapter_);
    write_file_atomic(adapter_ + "/adapter_model.safetensors", "weights");
    recipe_.model.path = "base";
    recipe_.model.servers = {"http://a/v1"};
    recipe_.run_folder = folder_.path();
    store_ = store::Store::open(folder_.path());
    workbench_.logprobs = {{"here ", -1.0},
                           {"served ", -1.02},
                           {"here adapter", -1.4},
                           {"served adapter", -1.42}};
  }
  ~ServedModelsTest() override { set_log_level(LogLevel::kInfo); }

  void open(const std::string& name) {
    ServedModels models(recipe_, workbench_, store_.get(), store_.get());
    models.open(name, recipe_.model, name == "base" ? "" : adapter_);
  }
  std::string error_of(const std::string& name) {
    return refusal_of([&] { open(name); }, ErrorKind::kUsage);
  }

  const ScratchFolder folder_;
  const std::string adapter_ = folder_.path() + "/engraved/adapter";
  recipe::Recipe recipe_;
  FlatWorkbench workbench_;
  std::unique_ptr<store::Store> store_;
};

TEST_F(ServedModelsTest, WhatServersAnswerWithIsHeldAgainstTheModelHere) {
  open("base");
  open("engraved");
  EXPECT_TRUE(store_->meta("probe.base"));
  EXPECT_TRUE(store_->meta("probe.engraved"));
  // What is kept needs no model here.
  open("base");
  open("engraved");
  EXPECT_EQ(workbench_.num_opened["here "], 1);
  EXPECT_EQ(workbench_.num_opened["here adapter"], 1);
}

TEST_F(ServedModelsTest, AnotherModelIsAnErrorWithBothValues) {
  workbench_.logprobs["served "] = -1.2;
  EXPECT_THAT(error_of("base"),
              AllOf(HasSubstr("http://a/v1"), HasSubstr("-1.2"),
                    HasSubstr("-1"), HasSubstr("base model")));
  workbench_.logprobs["served "] = -1.0;
  workbench_.served_id = 7;
  EXPECT_THAT(error_of("base"), HasSubstr("7 in place of 1"));
}

TEST_F(ServedModelsTest, AnAdapterMustHaveItsEffect) {
  open("base");
  workbench_.logprobs["served adapter"] = -1.02;  // the base's
  EXPECT_THAT(error_of("engraved"), HasSubstr("engraved model"));
  // Within the bound of one model, but hardly moved.
  workbench_.logprobs["here adapter"] = -1.08;
  store_->set_meta("probe.engraved", "");
  workbench_.logprobs["served adapter"] = -1.01;
  const ScratchFolder other;
  const auto fresh = store::Store::open(other.path());
  ServedModels models(recipe_, workbench_, fresh.get(), fresh.get());
  EXPECT_THAT(
      message_of([&] { models.open("engraved", recipe_.model, adapter_); }),
      HasSubstr("nearer to the base model"));
  workbench_.logprobs["served adapter"] = -1.07;
  models.open("engraved", recipe_.model, adapter_);
}

// Of a run that was made here no other was met at servers before.
TEST_F(ServedModelsTest, TheOthersOfARunAreComparedThoughNobodyMetThem) {
  make_folder(folder_.path() + "/verbose/adapter");
  workbench_.logprobs["here verbose"] = -1.47;
  workbench_.logprobs["served adapter"] = -1.46;
  EXPECT_THAT(error_of("engraved"),
              HasSubstr("expected the engraved model of this run, found what "
                        "is nearer to the verbose model"));
  workbench_.logprobs["served adapter"] = -1.42;
  open("engraved");
}

// An adapter of hardly any effect is known by its name alone, or by what was
// done.
TEST_F(ServedModelsTest, AnAdapterWithoutEffectMustHaveItsName) {
  workbench_.logprobs["here adapter"] = -1.0;
  workbench_.logprobs["served adapter"] = -1.0;
  open("base");
  EXPECT_THAT(error_of("engraved"), HasSubstr("no model selfalign-engraved-"));
  recipe_.serve.reload = "true";
  open("engraved");
}

TEST_F(ServedModelsTest, WhatTellsNothingIsNotCompared) {
  workbench_.logprobs["served "] = 0;
  open("base");
  workbench_.asks = false;  // a run that is played again
  workbench_.logprobs["served "] = -9;
  open("base");
  EXPECT_FALSE(store_->meta("probe.base"));
}

TEST_F(ServedModelsTest, ACommandHasServersAnswerWithWhatIsWanted) {
  workbench_.state = folder_.path() + "/state";
  workbench_.logprobs["served adapter"] = -1.02;  // they have the base
  recipe_.serve.reload =
      str("[ -n \"$SELFALIGN_ADAPTER\" ] && v=-1.4 || v=-1; "
          "echo $v > ",
          workbench_.state,
          "; echo \"$SELFALIGN_ADAPTER_NAME $SELFALIGN_BASE "
          "$SELFALIGN_SERVERS\" >> calls");
  open("base");
  EXPECT_FALSE(is_file(folder_.path() + "/calls"));  // they did already
  open("engraved");
  open("engraved");
  open("base");
  const std::string base = std::filesystem::absolute("base");
  EXPECT_EQ(read_file(folder_.path() + "/calls"),
            str(served_name(adapter_), " ", base, " http://a/v1\n ", base,
                " http://a/v1\n"));
  EXPECT_THAT(served_name(adapter_), HasSubstr("selfalign-engraved-"));
  recipe_.serve.reload = "exit 3";
  EXPECT_THAT(message_of([&] { open("engraved"); }),
              HasSubstr("ended with status 3"));
}

// It works in the run's folder, wherever the program was started.
TEST_F(ServedModelsTest, ACommandIsToldAWholePath) {
  workbench_.state = folder_.path() + "/state";
  workbench_.logprobs["served adapter"] = -1.02;
  recipe_.serve.reload =
      "[ -d \"$SELFALIGN_ADAPTER\" ] && echo -1.4 > " + workbench_.state;
  ServedModels models(recipe_, workbench_, store_.get(), store_.get());
  models.open("engraved", recipe_.model, std::filesystem::relative(adapter_));
}

// What a run that was killed left at work would end the servers that the next
// command begins.
TEST_F(ServedModelsTest, OneCommandHasServersAnswerAtATime) {
  workbench_.state = folder_.path() + "/state";
  workbench_.logprobs["served adapter"] = -1.02;
  recipe_.serve.reload = "[ -e over ] && echo -1.4 > " + workbench_.state;
  ChildProcess left("sleep 0.5; touch over", folder_.path(),
                    folder_.path() + "/log", folder_.path() + "/serve.lock",
                    ChildProcess::Holds::kCommand);
  open("base");
  open("engraved");
}

}  // namespace
}  // namespace selfalign::stages
