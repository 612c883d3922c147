// SPDX-License-Identifier: Apache-2.0
// Several red-team questions of one request, as the published script asks for
// them (instruct.hints_per_request).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <set>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/testing.h"
#include "inspect/eta.h"
#include "inspect/trace.h"
#include "replay/fork.h"
#include "replay/whole_run.h"
#include "scripted_runs.h"
#include "stages/pipeline.h"
#include "stages/principles.h"

namespace selfalign::tests {
namespace {

namespace fs = std::filesystem;
using generate::Finish;
using recipe::Recipe;
using store::Reader;
using store::Row;
using ::testing::HasSubstr;

// Enough requests for later ones to know of earlier ones.
struct Spread {
  const char* profile;
  const char* balance;
  int hints;
};
constexpr Spread kSpreads[] = {
    {"default", "quota", 1}, {"paper2", "quota", 2}, {"paper", "smallest", 2}};

std::function<bool(store::Store&)> has_questions(int64_t number) {
  return [number](store::Store& store) {
    return store.num_rows("redteam.questions") >= number;
  };
}

constexpr char kMark[] = "as it was";

// Marks the verdicts on all questions that there are; their keys.
std::vector<uint64_t> mark_verdicts(store::Store& store) {
  std::vector<uint64_t> keys;
  for (const Row& row : store.rows("redteam.questions")) {
    store::Verdict verdict = store.verdicts(row.key).at(0);
    verdict.detail = kMark;
    store.set_verdicts({verdict});
    keys.push_back(row.key);
  }
  return keys;
}

class QuestionsTest : public ScriptedRunsTest {
 protected:
  Recipe recipe(const std::string& name, const std::string& profile) const {
    Recipe recipe = small_recipe(path(name));
    recipe.profile = profile;
    if (profile != "default") recipe.instruct.balance = "smallest";
    recipe.stages = {"instruct", "align"};
    recipe.num_held_out = 0;
    recipe.instruct.num_red_team = 60;
    recipe.instruct.hints_per_request = 5;
    recipe.instruct.question_sampling.max_new_tokens = 150;
    return recipe;
  }
  Recipe long_recipe(const Spread& spread, const std::string& name) const {
    Recipe recipe =
        this->recipe(str(spread.profile, ".", name), spread.profile);
    recipe.stages = {"instruct"};
    recipe.instruct.balance = spread.balance;
    recipe.instruct.hints_per_request = spread.hints;
    recipe.instruct.num_red_team = 300;
    recipe.instruct.topics_per_type = 60;
    return recipe;
  }
};

std::string filter_of(const Reader& store, uint64_t key,
                      const std::string& name) {
  for (const store::Verdict& verdict : store.verdicts(key)) {
    if (verdict.filter == name) return verdict.kept ? "kept" : verdict.reason;
  }
  return "none";
}

TEST_F(QuestionsTest, OfOneCompletionAreRowsWithTheTypeAndTopicOfTheirHint) {
  run(recipe("a", "paper"));
  const auto store = open("a");
  std::map<uint64_t, int> by_request;
  std::map<std::string, int> outcomes;
  std::set<std::pair<std::string, std::string>> asked;
  for (const Row& row : store->rows("redteam.questions")) {
    ASSERT_EQ(row.parents.size(), 1u);
    ++by_request[row.parents[0]];
    const Row request = *store->row(row.parents[0]);
    const Json hint{{"type", row.content["type"]},
                    {"topic", row.content["topic"]}};
    EXPECT_THAT(request.content["hints"].get<std::vector<Json>>(),
                testing::Contains(hint));
    const std::string text = store->completion(request.key)->completion.text;
    const std::string instruction = row.content["instruction"];
    const std::string outcome = filter_of(*store, row.key, "instruct.paper.2");
    ++outcomes[outcome];
    if (instruction[0] == 'W') {
      EXPECT_THAT(text, HasSubstr(". " + std::string(hint["type"]) + " | " +
                                  std::string(hint["topic"]) + " | " +
                                  instruction + "\n"));
    } else if (outcome == "kept") {
      // Without a question the whole line is one, as published.
      EXPECT_THAT(text, HasSubstr(instruction + "\n"));
    }
    if (outcome == "kept") {
      EXPECT_TRUE(asked.emplace(hint["type"], hint["topic"]).second);
    }
  }
  EXPECT_EQ(outcomes["kept"], 60);
  EXPECT_GT(outcomes["malformed"], 0);  // cut off
  EXPECT_GT(outcomes["duplicate"], 0);  // of the same topic
  EXPECT_EQ(outcomes.count("none"), 0u);
  const int64_t num_requests = store->manifest("redteam.requests")->num_rows;
  EXPECT_LT(num_requests, 60 / 3);
  std::set<int> numbers;  // first five, and two more of the first
  for (const auto& [request, number] : by_request) numbers.insert(number);
  EXPECT_LT(*numbers.begin(), 7);  // some left out
  EXPECT_LE(*numbers.rbegin(), 7);
}

TEST_F(QuestionsTest, ARequestShowsFiveOfAnyTypeAndGoesToItsFullLength) {
  for (const std::string profile : {"default", "paper"}) {
    run(recipe(profile, profile));
    const auto store = open(profile);
    int64_t num_asked = 0;
    bool any_own = false;
    std::set<std::string> types;
    for (const Row& request : store->rows("redteam.requests")) {
      ASSERT_EQ(request.parents.size(), 10u);
      ASSERT_EQ(request.content["hints"].size(), 5u);
      for (size_t i = 0; i < 10; ++i) {
        const Row parent = *store->row(request.parents[i]);
        EXPECT_EQ(parent.stage, i < 5 ? "redteam.topics" : "redteam.seeds");
        if (i < 5) {
          EXPECT_EQ(parent.content["topic"],
                    request.content["hints"][i]["topic"]);
        } else {
          types.insert(parent.content["type"]);
          any_own = any_own || parent.content["type"] ==
                                   request.content["hints"][0]["type"];
        }
      }
      const auto completion = store->completion(request.key);
      if (!completion) continue;
      const bool whole = profile == "paper";
      EXPECT_EQ(completion->completion.finish == Finish::kLength, whole);
      EXPECT_EQ(completion->completion.text.find("\n11.") != std::string::npos,
                whole);
    }
    EXPECT_TRUE(any_own);
    EXPECT_GT(types.size(), 10u);
    const store::Manifest manifest = *store->manifest("redteam.questions");
    for (const auto& [name, type] : manifest.report["types"].items()) {
      num_asked += type["asked"].get<int64_t>();
    }
    EXPECT_EQ(num_asked, store->manifest("redteam.requests")->num_rows * 5);
    EXPECT_EQ(manifest.num_kept, 60);
    if (profile == "paper") continue;
    for (const auto& [name, type] : manifest.report["types"].items()) {
      EXPECT_EQ(type["kept"], 3) << name;  // a twentieth each
    }
    const auto rejected =
        store->rejections("redteam.questions", "instruct.default.3");
    EXPECT_THAT(rejected, testing::Contains(testing::Key("malformed")));
  }
}

TEST_F(QuestionsTest, AreTheSameInAnyOrderAndAfterAStopAndPlayedAgain) {
  for (const std::string profile : {"default", "paper2"}) {
    Recipe first = recipe(profile, profile);
    if (profile == "default") first.refill.min_per_rule = 8;
    if (profile == "default") first.refill.max_requests = 20;
    const std::string digest = run(first);
    EXPECT_TRUE(is_sound(first.run_folder));
    Recipe other = first;
    other.run_folder += ".wide";
    WorldOptions wide;
    wide.num_slots = 23;
    EXPECT_EQ(run(other, wide), digest);
    for (const int stop_at : {6, 9, 12}) {
      other.run_folder = first.run_folder + ".stopped." + str(stop_at);
      {
        ScriptedWorkbench workbench({});
        auto store = stages::open_run(other);
        int commits = 0;
        store->set_commit_hook([&] { set_interrupted(++commits >= stop_at); });
        EXPECT_THROW(replay::run_to_end(other, workbench, *store), Error);
        set_interrupted(false);
      }
      EXPECT_EQ(run(other, wide), digest) << stop_at;
    }
  }
  EXPECT_GT(open("default")->num_rows("refill.1.questions"), 0);
}

// A request depends on what came of earlier ones (balance.h), and what is a
// duplicate on all questions kept, so both must be as they were.
TEST_F(QuestionsTest, GoOnBehindTheRequestsThatWereAccepted) {
  WorldOptions one, wide;
  one.num_slots = 1;
  wide.num_slots = 23;
  for (const Spread& spread : kSpreads) {
    const Recipe whole = long_recipe(spread, "whole");
    const std::string digest = run(whole);
    for (const int64_t stop_at : {1, 200, 280}) {
      const Recipe other = long_recipe(spread, str(stop_at));
      SCOPED_TRACE(other.run_folder);
      std::vector<uint64_t> marked;
      run_until(
          other, has_questions(stop_at),
          [&](store::Store& store) { marked = mark_verdicts(store); }, one);
      EXPECT_EQ(run(other, wide), digest);
      const auto store = Reader::open(other.run_folder);
      EXPECT_LT(marked.size(), size_t(store->num_rows("redteam.questions")));
      for (const uint64_t key : marked) {  // not judged again
        ASSERT_EQ(store->verdicts(key).at(0).detail, kMark);
      }
    }
  }
}

TEST_F(QuestionsTest, AreTheSameAfterKillsAtManyCommits) {
  for (const Spread& spread : kSpreads) {
    const std::string digest = run(long_recipe(spread, "whole"));
    const Recipe other = long_recipe(spread, "killed");
    int num_kills = 0;
    while (run_and_kill(other, 17 + num_kills % 3)) ++num_kills;
    EXPECT_GT(num_kills, 1);
    EXPECT_EQ(Reader::open(other.run_folder)->run_digest(), digest);
    EXPECT_TRUE(is_sound(other.run_folder));
  }
}

TEST_F(QuestionsTest, AStateThatTheirRowsDoNotBearOutIsDamage) {
  const struct {
    const char* accepted;
    const char* state;
    const char* message;
  } kStates[] = {
      {"100", "[]", "expected an object with 'questions', found array"},
      {"100", R"({"questions": "1", "kept": 1})",
       "expected 'questions' to be a whole number, found \"1\""},
      {"100", R"({"questions": 1})", "expected 'kept' to be a whole number"},
      {"1000000", R"({"questions": 1, "kept": 1})",
       "expected 1000000 requests in the store, found "},
      {"100", R"({"questions": -1, "kept": 1})",
       "expected -1 questions of these requests in the store, found 1"},
      {"100", R"({"questions": 1000000, "kept": 1})",
       "expected 1000000 questions of these requests in the store, found 1"},
      {"10", R"({"questions": 150, "kept": 1})",
       "expected 150 questions of these requests in the store, found "},
      {"150", R"({"questions": 100, "kept": 101})",
       "expected 101 kept questions in the store, found "}};
  const Recipe begun = long_recipe(kSpreads[0], "begun");
  run_until(begun, has_questions(150));
  for (const auto& wrong : kStates) {
    {
      const auto store = stages::open_run(begun);
      store->set_meta("accepted.redteam.questions instruct.default.3",
                      str("{\"accepted\": ", wrong.accepted,
                          ", \"ended\": false, \"state\": ", wrong.state, "}"));
    }
    EXPECT_THAT(refusal_of([&] { run(begun); }, ErrorKind::kDamaged),
                HasSubstr(wrong.message))
        << wrong.state;
  }
}

TEST_F(QuestionsTest, SeveralHintsNeedAListPromptBeforeTheFirstRow) {
  Recipe several = recipe("a", "default");
  several.prompts_folder = path("prompts");
  std::filesystem::copy("prompts", several.prompts_folder);
  const std::string file = several.prompts_folder + "/red_team.yaml";
  std::string text = read_file(file);
  const size_t at = text.find("\nlist_prompt:");
  ASSERT_NE(at, std::string::npos);
  text.erase(at, text.find("\ntypes:") - at);
  write_file_atomic(file, text);
  EXPECT_THAT(refusal_of([&] { stages::open_run(several); }, ErrorKind::kUsage),
              HasSubstr("there is no list_prompt"));
  several.instruct.hints_per_request = 1;
  stages::open_run(several);
}

TEST_F(QuestionsTest, AnotherNumberOfHintsForksFromTheRequestsOn) {
  const Recipe first = recipe("a", "paper2");
  const std::string digest = run(first);
  Recipe other = recipe("b", "paper2");
  other.instruct.hints_per_request = 3;
  ScriptedWorkbench workbench({});
  {
    auto store = replay::open_fork(other, first.run_folder, "");
    replay::run_to_end(other, workbench, *store);
  }
  EXPECT_TRUE(is_sound(other.run_folder));
  EXPECT_EQ(open("b")->manifest("redteam.topics")->digest,
            open("a")->manifest("redteam.topics")->digest);
  EXPECT_NE(open("b")->run_digest(), digest);
  Recipe fresh = other;
  fresh.run_folder = path("fresh");
  EXPECT_EQ(run(fresh), open("b")->run_digest());
}

TEST_F(QuestionsTest, StatusPrinciplesAndShowKnowThem) {
  const Recipe paper = recipe("a", "paper");
  run(paper);
  const auto store = open("a");
  const recipe::Prompts prompts = recipe::load_prompts("prompts");
  for (const auto& step : inspect::run_eta(paper, prompts, *store).steps) {
    if (step.step != "red-team questions") continue;
    EXPECT_EQ(step.total, 60);
    EXPECT_EQ(step.done, 60);
    EXPECT_TRUE(step.finished);
  }
  int64_t num_answers = 0;
  const auto use = stages::principle_use(*store, prompts);
  for (size_t t = 0; t < use.types.size(); ++t) {
    if (use.types[t] == "self-instruct") continue;
    EXPECT_NE(use.types[t], "given");
    num_answers += use.rows[t].kept + use.rows[t].rejected;
  }
  EXPECT_EQ(num_answers, 60);
  const Row question = store->row("redteam.questions", 0).value();
  const std::string shown = inspect::show_row(*store, question.key);
  EXPECT_THAT(shown, HasSubstr("redteam.requests:"));
  EXPECT_THAT(shown, HasSubstr("at most 150 tokens"));
}

}  // namespace
}  // namespace selfalign::tests
