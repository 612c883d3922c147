// SPDX-License-Identifier: Apache-2.0
// A world for tests of the tasks: a data folder, a log and a model whose scores
// are a function of context and text.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "base/file.h"
#include "base/hash.h"
#include "base/interrupt.h"
#include "base/random.h"
#include "eval/tasks.h"
#include "generate/scripted.h"

namespace selfalign::eval {

class ScoringModel final : public generate::Generator {
 public:
  using Score = std::function<double(const std::string&, const std::string&)>;

  void generate(const generate::NextRequest& next,
                const generate::OnCompletion& done) override {
    while (!interrupted()) {
      const auto request = next();
      if (!request) return;
      ++num_asked;
      done({.key = request->key,
            .text = answer(request->suffix),
            .num_tokens = 3,
            .num_prompt_tokens = 5,
            .tokens = {},
            .token_logprobs = {},
            .top_logprobs = {}});
      if (interrupt_after > 0 && num_asked >= interrupt_after) {
        set_interrupted(true);
      }
    }
  }

  std::vector<generate::Scores> score(
      const std::vector<generate::ScoreRequest>& requests) override {
    std::vector<generate::Scores> all;
    for (const generate::ScoreRequest& request : requests) {
      generate::Scores scores{request.key, {}};
      for (const std::string& text : request.continuations) {
        const float logprob = float(judge(request.context, text));
        scores.continuations.push_back({{1}, {logprob}, {true}, {}});
      }
      all.push_back(std::move(scores));
    }
    num_asked += int(requests.size());
    if (interrupt_after > 0 && num_asked >= interrupt_after) {
      set_interrupted(true);
    }
    return all;
  }

  std::string fingerprint() const override { return "scoring model"; }
  int count_tokens(const std::string& text) const override {
    return int(text.size());
  }

  // Without knowledge: a number that depends on the two texts.
  Score judge = [](const std::string& context, const std::string& text) {
    return -10 * draw_uniform(Hasher().add(context).add(text).key(), 0);
  };
  std::function<std::string(const std::string&)> answer =
      [](const std::string&) { return "an answer"; };
  int num_asked = 0;
  int interrupt_after = 0;
};

// Asks what it is given, between two texts, and takes what comes.
class PlainForm final : public Form {
 public:
  explicit PlainForm(std::string before = "", std::string after = "",
                     generate::Sampling sampling = {})
      : before_(std::move(before)),
        after_(std::move(after)),
        sampling_(std::move(sampling)) {}
  generate::Request ask(const std::vector<recipe::ChatTurn>& /*history*/,
                        const std::string& user) const override {
    generate::Request request;
    request.suffix = before_ + user + after_;
    request.sampling = sampling_;
    return request;
  }
  std::string read(const generate::Completion& completion) const override {
    return completion.text;
  }

 private:
  const std::string before_;
  const std::string after_;
  const generate::Sampling sampling_;
};

// Of the name; the test ends where there is none.
inline const Metric& metric(const TaskResult& result, const std::string& name) {
  for (const Metric& one : result.metrics) {
    if (one.name == name) return one;
  }
  throw std::runtime_error("no metric " + name);
}

inline void expect_self_tests_pass(const TaskResult& result) {
  for (const SelfTest& test : result.self_tests) {
    EXPECT_TRUE(test.passed)
        << test.name << ": " << test.found << " for " << test.expected;
  }
}

class ChoiceWorld {
 public:
  ChoiceWorld() {
    options_.data_folder = folder_.path() + "/data";
    options_.prompts_folder = "prompts";
    make_folder(options_.data_folder);
  }

  const std::string& data() const { return options_.data_folder; }
  std::string log_path() const { return folder_.path() + "/items/a.jsonl"; }
  TaskOptions& options() { return options_; }
  ScoringModel& model() { return model_; }
  void judge_by(ScoringModel::Score score) { model_.judge = std::move(score); }
  int num_asked() const { return model_.num_asked; }
  void interrupt_after(int num) { model_.interrupt_after = num; }
  void forget() {
    std::filesystem::remove_all(folder_.path() + "/items");
    model_.num_asked = 0;
  }

  TaskResult run(TaskResult (*task)(const Subject&, ItemLog&,
                                    const TaskOptions&)) {
    Subject subject;
    subject.name = "base";
    subject.generator = &model_;
    subject.form = std::make_shared<PlainForm>("User: ", "\nAssistant:");
    ItemLog log(log_path());
    return task(subject, log, options_);
  }

 private:
  ScratchFolder folder_;
  TaskOptions options_;
  ScoringModel model_;
};

}  // namespace selfalign::eval
