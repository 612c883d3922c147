// SPDX-License-Identifier: Apache-2.0
// A run store made in code, small enough to know by heart, and a plan of the
// least; for tests.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>

#include "base/testing.h"
#include "recipe/profile.h"
#include "recipe/prompts.h"
#include "stages/completing.h"
#include "stages/funnel.h"
#include "store/store.h"

namespace selfalign::stages {

// Rows of "a.requests" with the keys 1 to num_rows, each accepted as it is.
class AcceptAll : public CompletionPlan {
 public:
  explicit AcceptAll(int64_t num_rows) : num_rows_(num_rows) {}
  std::string title() const override { return "a"; }
  std::optional<PlannedRow> plan(int64_t n) override {
    if (n == num_rows_) return std::nullopt;
    PlannedRow planned;
    planned.row = {uint64_t(n) + 1, "a.requests", n, {}, Json::object()};
    planned.request.key = planned.row.key;
    planned.request.sampling.max_new_tokens = 10;
    return planned;
  }
  bool accept(const store::Row&, const generate::Completion&,
              Accepted&) override {
    return true;
  }

 private:
  const int64_t num_rows_;
};

// Keys: instruct.tasks 10.., align.answers 20.., align.pairs 30.. Of four
// tasks the last is a duplicate; of three answers the second never came. Tests
// run in the repository.
class SmallRun : public ::testing::Test {
 protected:
  SmallRun()
      : prompts_(recipe::load_prompts("prompts")),
        folder_(::testing::TempDir() + "small_run." +
                std::to_string(getpid())) {
    std::filesystem::remove_all(folder_);
    store_ = store::Store::open(folder_);
    add_tasks();
    add_answer(0, "Asks for a poem. Rules 3 (helpful).", "Roses are red.");
    add_answer(1, "Only thoughts", "");
    add_answer(2, "Asks why. Rules 1 (ethical), 3 (helpful).",
               "Because light scatters in the air.");
    finish_stage(*store_, "align.answers",
                 recipe::profile_named("default").align.name, 3);
    finish_stage(*store_, "align.pairs", "", 2,
                 Json{{"mean_answer_tokens", 5.0},
                      {"mean_answer_tokens_of_all", 4.0},
                      {"share_ended", 1.0}});
  }
  ~SmallRun() override {
    store_.reset();
    std::filesystem::remove_all(folder_);
  }

  void add_tasks() {
    const char* const texts[] = {"Write a poem about roses.",
                                 "Tell me the weather\xe2\x80\xa6 now.",
                                 "Why is the sky blue?", "Write a poem."};
    for (int64_t i = 0; i < 4; ++i) {
      const uint64_t key = 10 + uint64_t(i);
      store_->add_rows(
          {{key, "instruct.tasks", i, {}, Json{{"instruction", texts[i]}}}});
      store_->set_verdicts(
          {{key, recipe::profile_named("default").instruct_filter, i < 3,
            i < 3 ? "" : "duplicate",
            i < 3 ? "" : "0.75 with: Write a poem."}});
    }
    finish_stage(*store_, "instruct.tasks",
                 recipe::profile_named("default").instruct_filter, 4);
  }

  void add_answer(int64_t seq, const std::string& thought,
                  const std::string& answer) {
    const uint64_t key = 20 + uint64_t(seq);
    const Json instruction =
        store_->row(10 + uint64_t(seq))->content["instruction"];
    store_->add_rows({{key,
                       "align.answers",
                       seq,
                       {10 + uint64_t(seq)},
                       Json{{"instruction", instruction}}}});
    store::StoredCompletion stored;
    stored.completion.key = key;
    stored.completion.finish = generate::Finish::kStop;
    stored.completion.num_tokens = 20;
    stored.completion.text = " " + thought;
    if (!answer.empty()) {
      stored.completion.text +=
          "\n\n" + prompts_.align.answer_tag + " " + answer;
    }
    stored.thought = thought;
    stored.fingerprint = "scripted";
    stored.time_s = 1000.0 + double(seq);
    store_->add_completion(stored);
    store_->set_verdicts(
        {{key, recipe::profile_named("default").align.name, !answer.empty(),
          answer.empty() ? "no_answer" : "", ""}});
    if (answer.empty()) return;
    const int64_t place = store_->num_rows("align.pairs");
    store_->add_rows({{30 + uint64_t(place),
                       "align.pairs",
                       place,
                       {key},
                       Json{{"instruction", instruction},
                            {"response", answer},
                            {"ends", true},
                            {"tokens", 5},
                            {"rules", {3}}}}});
  }

  const recipe::Prompts prompts_;
  const std::string folder_;
  std::unique_ptr<store::Store> store_;
};

}  // namespace selfalign::stages
