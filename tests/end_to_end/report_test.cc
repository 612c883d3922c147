// SPDX-License-Identifier: Apache-2.0
// The report of whole runs: every section is there, and whatever a model wrote
// stays text.
#include "report/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/record.h"
#include "base/testing.h"
#include "eval/item_log.h"
#include "eval/results.h"
#include "inspect/eta.h"
#include "inspect/summary.h"
#include "recipe/run_files.h"
#include "scripted_runs.h"
#include "store/testing.h"
#include "text/words.h"

namespace selfalign::tests {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

class ReportTest : public ScriptedRunsTest {
 protected:
  void make_run(const std::vector<std::string>& stages = {
                    "instruct", "align", "engrave", "verbose"}) {
    recipe::Recipe recipe = small_recipe(run_);
    recipe.stages = stages;
    recipe.model.path = "/none";  // as read back: resolved
    run(recipe);
  }

  // What an evaluation and a judge leave, with `text` as a model's.
  void evaluate(const std::string& folder, const std::string& wrote) const {
    eval::Results results;
    const std::string text = text::fix_utf8(wrote);
    for (const char* subject : {"engraved", "verbose"}) {
      const std::string items = str("items/", subject, "/hhh.jsonl");
      eval::ItemLog log(folder + "/" + items);
      const int score = subject == std::string("verbose") ? 1 : 0;
      log.add(1, Json{{"id", "h1"},
                      {"question", "Is it so? " + text},
                      {"answer", wrote},
                      {"scores", {{"right", score}}}});
      eval::TaskResult result;
      result.task = "hhh";
      result.subject = subject;
      result.items = items;
      result.metrics = {{.name = "macro",
                         .title = "Macro " + text,
                         .value = 0.25 + 0.5 * score,
                         .low = 0.2,
                         .high = 0.8,
                         .interval = "Wilson",
                         .num_items = 1,
                         .chance = 0.5,
                         .higher_is_better = true,
                         .note = text}};
      result.self_tests = {{"oracle", "100 %", "99 %", score == 1}};
      results.results.push_back(result);
      results.subjects.push_back({subject, text, "m", "", "f"});
    }
    results.comparisons.push_back(
        {.task = "vicuna",
         .judge = text,
         .a = "verbose",
         .b = "engraved",
         .pairs = eval::PairFigures{.counts = {.num_items = 4,
                                               .wins_a = 3,
                                               .wins_b = 1,
                                               .win_rate = 0.75},
                                    .low = 0.5,
                                    .high = 0.9}});
    eval::ResultsWriter(folder).merge(results);
  }

  std::string file(const std::string& name) const {
    return read_file(run_ + "/" + name);
  }

  const std::string run_ = path("run");
};

TEST_F(ReportTest, HasEverySectionOfARunAndItsEvaluations) {
  make_run();
  const Json before = to_json(inspect::run_summary(recipe::run_recipe(run_),
                                                   *store::Reader::open(run_)));
  evaluate(run_ + "/evaluation", "plain");
  make_folder(run_ + "/engraved");
  write_file_atomic(run_ + "/engraved/metrics.jsonl",
                    "{\"step\":1,\"loss\":3.0,\"learning_rate\":0.0}\n"
                    "{\"step\":2,\"loss\":2.5,\"learning_rate\":0.01}\n{\"st");
  EXPECT_EQ(report::write_report(run_), run_ + "/report.html");
  const std::string html = file("report.html");
  const std::string markdown = file("report.md");
  for (const char* title :
       {"Stages and funnels", "From principle to answer", "Principles at work",
        "Instructions and answers", "Tuning", "Held-out instructions",
        "Evaluations", "Comparisons by judges", "Verbose tax",
        "Supervision and cost", "Provenance"}) {
    EXPECT_THAT(html, HasSubstr(std::string(title) + "</h2>"));
    EXPECT_THAT(markdown, HasSubstr(std::string("\n## ") + title + "\n"));
  }
  // Funnel, sample, matrix, curve, chance, failed self-test, item, win rate.
  for (const char* text :
       {"Rejected in ", "Internal thought",
        "rejected: ", "Rules by type of question", "engraved: loss",
        "25.0 % [20.0, 80.0]", "Self-tests that failed: 1.", "Items: 1 of 1",
        "75.0 % [50.0, 90.0]", "selfalign verify run"}) {
    EXPECT_THAT(html, HasSubstr(text));
  }
  const Json report = parse_json(file("report.json"), "report.json");
  for (const auto& [name, value] : before.items()) {
    EXPECT_EQ(report[name], value) << name;
  }
  EXPECT_EQ(report["annotations"]["total"], 216);
  EXPECT_EQ(report["curves"]["engraved"].size(), 2u);
  EXPECT_EQ(report["evaluation"]["results"].size(), 2u);
  EXPECT_EQ(report["samples"][0]["kept"], true);
  bool held_out = false, right = false;
  for (const Json& row : report["verbose_tax"]["rows"]) {
    held_out |= row["task"] == "held_out" && row["score"] == "tokens";
    right |= row["score"] == "right" && row["difference"] == 1.0;
  }
  EXPECT_TRUE(held_out);
  EXPECT_TRUE(right);
  // Of the evaluation's folder it is the same report.
  fs::remove(run_ + "/report.html");
  EXPECT_EQ(report::write_report(run_ + "/evaluation/"), run_ + "/report.html");
  EXPECT_EQ(file("report.html"), html);
}

// Every place of a member within `json`, the inner ones too.
void list_members(const Json& json, const Json::json_pointer& at,
                  std::vector<Json::json_pointer>& places) {
  if (json.is_object()) {
    for (const auto& [name, value] : json.items()) {
      places.push_back(at / name);
      list_members(value, at / name, places);
    }
  }
  // The elements of a list are alike.
  if (json.is_array() && !json.empty()) {
    list_members(json[0], at / size_t{0}, places);
  }
}

// Leaves out each member in turn. What still is a record must be the same
// without it: a reader that makes a 0 of it would write it again.
template <Record Figures>
void expect_all_are_missed(const Json& json,
                           const std::set<std::string>& have_defaults = {}) {
  EXPECT_EQ(dump_json(to_json(from_json<Figures>(json, "it"))),
            dump_json(json));
  std::vector<Json::json_pointer> places;
  list_members(json, Json::json_pointer(), places);
  size_t num_missed = 0;
  for (const Json::json_pointer& place : places) {
    Json less = json;
    less[place.parent_pointer()].erase(place.back());
    try {
      const Json again = to_json(from_json<Figures>(less, "it"));
      if (have_defaults.contains(place.back())) continue;
      EXPECT_EQ(Json::diff(less, again), Json::array()) << place;
    } catch (const Error& error) {
      ++num_missed;
      EXPECT_THAT(error.what(), HasSubstr("expected '" + place.back() + "' to"))
          << place;
    }
  }
  EXPECT_GT(num_missed, 0u);
}

TEST_F(ReportTest, EveryFigureIsMissedWhereItIsNotThere) {
  make_run();
  evaluate(run_ + "/evaluation", "plain");
  make_folder(run_ + "/engraved");
  write_file_atomic(run_ + "/engraved/metrics.jsonl",
                    "{\"step\":1,\"loss\":3.0,\"learning_rate\":0.0}\n");
  report::write_report(run_);
  const std::set<std::string> of_results = {"adapter", "higher_is_better",
                                            "is_share", "settings", "usage"};
  expect_all_are_missed<report::Report>(
      parse_json(file("report.json"), "report.json"), of_results);
  expect_all_are_missed<eval::Results>(
      parse_json(file("evaluation/results.json"), "results.json"), of_results);
  const auto store = store::Reader::open(run_);
  expect_all_are_missed<inspect::RunEta>(to_json(inspect::run_eta(
      small_recipe(run_), recipe::load_prompts("prompts"), *store)));
}

TEST_F(ReportTest, WhatAModelWroteStaysText) {
  make_run();
  const std::string hostile = "<script>alert(1)</script>\xff\xc3\"'`|";
  evaluate(run_ + "/evaluation", hostile);
  // <script>alert(2)</script>, then bytes that are no UTF-8.
  const std::string bytes =
      "CAST(X'3C7363726970743E616C6572742832293C2F7363726970743EFFC3' AS TEXT)";
  store::edit_store(run_, "UPDATE completions SET text = " + bytes +
                              " || text || " + bytes +
                              ", thought = thought || " + bytes);
  report::write_report(run_);
  for (const char* name : {"report.html", "report.md", "report.json"}) {
    EXPECT_TRUE(text::is_valid_utf8(file(name))) << name;
  }
  const std::string html = file("report.html");
  EXPECT_THAT(html, Not(HasSubstr("<script")));
  EXPECT_THAT(html, HasSubstr("&lt;script&gt;alert(1)&lt;/script&gt;"));
  EXPECT_THAT(html, HasSubstr("&lt;script&gt;alert(2)&lt;/script&gt;"));
  // In Markdown within fences or escaped.
  EXPECT_THAT(file("report.md"), Not(HasSubstr("| <script")));
  EXPECT_NO_THROW(parse_json(file("report.json"), "report.json"));
}

TEST_F(ReportTest, ARunUnderWayGetsAPageButIsNotDone) {
  make_run();
  fs::remove(run_ + "/report.json");
  store::edit_store(run_, "DELETE FROM meta WHERE name = 'done'");
  report::write_report(run_);
  EXPECT_TRUE(fs::exists(run_ + "/report.html"));
  EXPECT_FALSE(fs::exists(run_ + "/report.json"));
  EXPECT_THAT(file("report.html"), HasSubstr("under way"));
  const std::string out = path("shown.html");
  EXPECT_EQ(report::write_report(run_, out), out);
  EXPECT_TRUE(fs::exists(path("shown.json")));
  EXPECT_TRUE(fs::exists(path("shown.md")));
}

TEST_F(ReportTest, ABaselineHasTheSectionsThatItHas) {
  make_run({});
  report::write_report(run_);
  const std::string html = file("report.html");
  EXPECT_THAT(html, HasSubstr("Held-out instructions</h2>"));
  EXPECT_THAT(html, Not(HasSubstr("From principle to answer</h2>")));
  EXPECT_THAT(html, Not(HasSubstr("Tuning</h2>")));
}

TEST_F(ReportTest, AnEvaluationWithoutARunHasOneToo) {
  const std::string folder = path("judged");
  evaluate(folder, "plain");
  EXPECT_EQ(report::write_report(folder), folder + "/report.html");
  EXPECT_TRUE(fs::exists(folder + "/report.json"));
  EXPECT_THAT(read_file(folder + "/report.html"),
              HasSubstr("Evaluations</h2>"));
  EXPECT_THAT(refusal_of([&] { report::write_report(ScriptedRuns::folder()); }),
              HasSubstr("nor of an evaluation"));
}

}  // namespace
}  // namespace selfalign::tests
