// SPDX-License-Identifier: Apache-2.0
#include "stages/start_checks.h"

#include <gmock/gmock.h>

#include <filesystem>

#include "base/file.h"
#include "base/testing.h"
#include "stages/pipeline.h"

namespace selfalign::stages {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class StartChecks : public testing::Test {
 protected:
  StartChecks() {
    recipe_.name = "run";
    recipe_.run_folder = path("runs/run");
    recipe_.prompts_folder = fs::absolute("prompts");
  }

  std::string path(const std::string& name) const {
    return scratch_.path() + "/" + name;
  }
  void write(const std::string& name, const std::string& text) const {
    write_file_atomic(path(name), text);
  }
  std::string refusal() {
    const Error error = error_of([&] { check(); });
    EXPECT_FALSE(fs::exists(path("runs"))) << "nothing may be made";
    return error.what();
  }

  // A model called "wrong" is wrong.
  void check() {
    check_start(recipe_,
                [this](const recipe::ModelOptions& model, bool trains) {
                  ++num_checks_;
                  EXPECT_EQ(trains, expects_training_);
                  if (model.path == "wrong") {
                    throw Error(ErrorKind::kInput, "model: wrong");
                  }
                });
  }

  ScratchFolder scratch_;
  recipe::Recipe recipe_;
  int num_checks_ = 0;
  bool expects_training_ = true;
};

TEST_F(StartChecks, PassesWhatCanBeDone) {
  write("set.csv", "Question,Best Answer\nWhy?,So\n");
  recipe_.contamination.sets = {path("set.csv")};
  check();
  EXPECT_EQ(num_checks_, 1);
  EXPECT_FALSE(fs::exists(path("runs")));
}

TEST_F(StartChecks, Prompts) {
  recipe_.prompts_folder = path("none");
  EXPECT_THAT(refusal(), HasSubstr("none (prompts_folder): no such folder; "));
  make_folder(path("empty"));
  recipe_.prompts_folder = path("empty");
  EXPECT_THAT(refusal(), HasSubstr("empty/principles.yaml: "));
  recipe_.prompts_folder = fs::absolute("prompts");
  recipe_.prompts_overlay = {path("none")};
  EXPECT_THAT(refusal(), HasSubstr("none (prompts_overlay): no such folder; "));
  make_folder(path("overlay"));
  write("overlay/principles.yaml",
        "principles:\n  - name: caf\xe9\n    text: x\n");
  recipe_.prompts_overlay = {path("overlay")};
  EXPECT_THAT(refusal(), HasSubstr("overlay/principles.yaml:2:14: expected "
                                   "text in UTF-8, found the byte 0xe9"));
}

TEST_F(StartChecks, GivenFilesAndSets) {
  recipe_.contamination.sets = {path("none.csv")};
  EXPECT_THAT(refusal(), HasSubstr("none.csv: "));
  write("latin.csv", "Question\nCaf\xe9?\n");
  recipe_.contamination.sets = {path("latin.csv")};
  EXPECT_THAT(refusal(), HasSubstr("latin.csv:2:4: expected text in UTF-8"));
  recipe_.contamination.sets.clear();
  recipe_.instructions.path = path("none.txt");
  EXPECT_THAT(refusal(), HasSubstr("none.txt: "));
  recipe_.instructions.path.clear();
  recipe_.data.path = path("none.jsonl");
  EXPECT_THAT(refusal(), HasSubstr("none.jsonl: "));
  // Rows that can be read, and none to learn from.
  write("asked.jsonl",
        "{\"prompt\": \"q\", \"completion\": \"\"}\n"
        "{\"messages\": [{\"role\": \"user\", \"content\": \"q\"}]}\n"
        "{\"prompt\": \"q\", \"completion\": \"a\"}\n");
  recipe_.data = {path("asked.jsonl"), 2};
  EXPECT_THAT(refusal(), HasSubstr("2 of 2 rows are left out: 2 no_answer"));
  recipe_.data.max_rows = 3;
  check();
}

TEST_F(StartChecks, ModelAndRunFolder) {
  recipe_.model.path = "wrong";
  EXPECT_EQ(refusal(), "model: wrong");
  recipe_.model.path = "right";
  write("file", "");
  recipe_.run_folder = path("file");
  EXPECT_THAT(refusal(), HasSubstr("file to be no folder"));
  recipe_.run_folder = path("file/run");
  EXPECT_THAT(refusal(), HasSubstr("file to be no folder"));
  recipe_.stages = {"instruct", "align"};
  recipe_.run_folder = path("other");
  expects_training_ = false;
  check();
}

TEST_F(StartChecks, ARunIsBegunOnceItHasRows) {
  EXPECT_FALSE(is_begun(path("none")));
  fs::create_directory(path("cut short"));  // by a kill, at its very start
  write("cut short/run.db", "");
  EXPECT_FALSE(is_begun(path("cut short")));
  const auto store = open_run(recipe_);
  EXPECT_FALSE(is_begun(recipe_.run_folder));
  store->add_rows({{1, "instruct.tasks", 0, {}, Json::object()}});
  EXPECT_TRUE(is_begun(recipe_.run_folder));
}

}  // namespace
}  // namespace selfalign::stages
