// SPDX-License-Identifier: Apache-2.0
// Requests of stage 1 that open what they ask for (instruct.opening_words).
#include "stages/openings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "scripted_runs.h"

namespace selfalign::tests {
namespace {

using recipe::Recipe;
using stages::after;
using stages::draw_opening;
using stages::keep_opening;
using stages::Opening;
using stages::OpeningSeed;
using stages::with_opening;
using store::Row;
using testing::HasSubstr;
using testing::StartsWith;

TEST(Opening, IsTheFirstWordsOfASeed) {
  const std::vector<OpeningSeed> seeds = {{7, "Explain  how yeast works."}};
  EXPECT_EQ(draw_opening(seeds, 1, 1).text, "Explain");
  EXPECT_EQ(draw_opening(seeds, 2, 1).text, "Explain  how");
  EXPECT_EQ(draw_opening(seeds, 2, 1).seed, 7u);
  EXPECT_EQ(draw_opening(seeds, 0, 1).text, "");
  // Never the whole of it, nor more than its first line.
  EXPECT_EQ(draw_opening(seeds, 8, 1).text, "Explain  how yeast");
  EXPECT_EQ(draw_opening({{1, "Sort these words\nb a"}}, 8, 1).text,
            "Sort these words");
  EXPECT_EQ(draw_opening({{1, "Sing!"}, {2, ""}}, 2, 1).text, "");
}

TEST(Opening, AllSeedsHaveTheirTurn) {
  const std::vector<OpeningSeed> seeds = {
      {1, "one is"}, {2, "word"}, {3, "two is"}, {4, "three is"}};
  std::set<std::string> drawn;
  for (uint64_t draw = 0; draw < 40; ++draw) {
    drawn.insert(draw_opening(seeds, 2, draw).text);
  }
  EXPECT_EQ(drawn, (std::set<std::string>{"one", "two", "three"}));
}

TEST(Opening, StandsApartFromThePromptAndBeforeTheCompletion) {
  EXPECT_EQ(after("9. Task:", {1, "Write a"}), " Write a");
  EXPECT_EQ(after("9. Task: ", {1, "Write a"}), "Write a");
  EXPECT_EQ(after("9. Task:", {}), "");
  Json content = Json::object();
  keep_opening({}, content);
  EXPECT_EQ(content, Json::object());
  EXPECT_EQ(with_opening(content, " poem."), " poem.");
  keep_opening({1, "Write a"}, content);
  EXPECT_EQ(with_opening(content, " poem."), "Write a poem.");
}

class OpeningsTest : public ScriptedRunsTest {
 protected:
  Recipe recipe(const std::string& name) const {
    Recipe recipe = small_recipe(path(name));
    recipe.instruct.opening_words = 3;
    return recipe;
  }
};

std::string seed_text(const Row& seed) {
  const char* member =
      seed.content.contains("question") ? "question" : "instruction";
  return seed.content.at(member);
}

TEST_F(OpeningsTest, EachTaskBeginsAsItsRequestWasOpened) {
  run(recipe("a"));
  const auto store = open("a");
  std::set<std::string> openings;
  std::set<std::vector<uint64_t>> lists;
  for (const Row& request : store->rows("instruct.requests")) {
    const std::string opening = request.content.at("opening");
    openings.insert(opening);
    const Row seed = *store->row(request.parents.back());
    EXPECT_THAT(seed_text(seed), StartsWith(opening + " "));
    // It is of a seed that the request does not show.
    const std::vector<uint64_t> shown(request.parents.begin(),
                                      request.parents.end() - 1);
    EXPECT_EQ(std::count(shown.begin(), shown.end(), seed.key), 0);
    lists.insert(shown);
  }
  EXPECT_GT(openings.size(), 3u);
  EXPECT_LT(lists.size(), openings.size());
  std::set<uint64_t> first;  // of a request
  for (const Row& task : store->rows("instruct.tasks")) {
    if (!first.insert(task.parents.at(0)).second) continue;
    const Row request = *store->row(task.parents.at(0));
    EXPECT_THAT(
        task.content.at("instruction").get<std::string>(),
        StartsWith(request.content.at("opening").get<std::string>() + " "));
  }
}

TEST_F(OpeningsTest, WithoutASeedOfTwoWordsThatIsNotShownThereIsNone) {
  Recipe words = recipe("a");
  words.prompts_overlay = {path("overlay")};
  make_folder(path("overlay"));
  write("overlay/seed_tasks.yaml",
        "seed_tasks:\n  - instruction: Sing!\n  - instruction: Dance!\n"
        "  - instruction: Jump!\n");
  const Error error = error_of([&] { run(words); });
  EXPECT_EQ(error.kind(), ErrorKind::kUsage);
  EXPECT_THAT(error.what(), HasSubstr("instruct.opening_words: no seed task"));
}

TEST_F(OpeningsTest, EachQuestionBeginsAsOneOfItsTypeByTwoWordsAtMost) {
  run(recipe("a"));
  const auto store = open("a");
  for (const Row& question : store->rows("redteam.questions")) {
    const Row request = *store->row(question.parents.at(0));
    const std::string opening = request.content.at("opening");
    EXPECT_LE(std::count(opening.begin(), opening.end(), ' '), 1);
    EXPECT_THAT(question.content.at("instruction").get<std::string>(),
                StartsWith(opening + " "));
    bool is_own = false;
    for (const uint64_t parent : request.parents) {
      const Json seed = store->row(parent)->content;
      is_own |= seed.contains("question") &&
                seed.at("type") == question.content.at("type") &&
                seed_text(*store->row(parent)).rfind(opening + " ", 0) == 0;
    }
    EXPECT_TRUE(is_own) << opening;
  }
  EXPECT_GT(store->num_rows("redteam.questions"), 0);
}

TEST_F(OpeningsTest, TheRunIsTheSameWhereverItIsStoppedAndPlaysAgain) {
  const std::string digest = run(recipe("a"));
  EXPECT_TRUE(is_sound(path("a")));
  WorldOptions slots;
  slots.num_slots = 9;
  EXPECT_EQ(run(recipe("slots"), slots), digest);
  for (const int commits : {3, 8, 15, 24}) {
    const std::string name = "stopped" + std::to_string(commits);
    run_until(recipe(name), after_commits(commits));
    EXPECT_EQ(run(recipe(name)), digest) << commits;
  }
  Recipe changed = recipe("b");
  changed.instruct.opening_words = 1;
  EXPECT_NE(run(changed), digest);
}

}  // namespace
}  // namespace selfalign::tests
