// SPDX-License-Identifier: Apache-2.0
// What is read of a run's own files, and what is said where they are damaged.
#include "recipe/run_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "base/file.h"
#include "base/log.h"
#include "base/testing.h"
#include "recipe/recipe_text.h"
#include "store/checks.h"

namespace selfalign::recipe {
namespace {

namespace fs = std::filesystem;

class RunFilesTest : public ::testing::Test {
 protected:
  RunFilesTest() : recipe_(default_recipe()) {
    recipe_.name = "run";
    recipe_.model.path = "model";
    recipe_.run_folder = run_;
    recipe_.prompts_folder = fs::absolute("prompts");
  }

  std::unique_ptr<store::Store> open() const {
    return store::Store::open(run_);
  }
  void replace_by_pipe(const std::string& path) const {
    fs::remove(path);
    ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  }

  const ScratchFolder scratch_;
  const std::string run_ = scratch_.path() + "/run";
  Recipe recipe_;
};

TEST_F(RunFilesTest, FilesThatAreGoneAreDamage) {
  keep_run_files(recipe_, *open());
  EXPECT_TRUE(has_run_files(run_));
  EXPECT_EQ(run_recipe(run_).name, "run");
  const std::string digest = run_prompts(run_).digest;
  for (const std::string& file : prompt_files()) {
    const std::string path = run_ + "/prompts/" + file;
    const std::string content = read_file(path);
    for (const bool is_pipe : {false, true}) {
      fs::remove(path);
      if (is_pipe) replace_by_pipe(path);
      EXPECT_EQ(kind_of([&] { run_prompts(run_); }), ErrorKind::kDamaged);
      EXPECT_EQ(kind_of([&] { kept_prompts(*open()); }), ErrorKind::kDamaged);
      fs::remove(path);
    }
    write_file_atomic(path, content);
  }
  EXPECT_EQ(run_prompts(run_).digest, digest);
  const std::string recipe = run_ + kRecipeFile;
  fs::remove(recipe);
  EXPECT_TRUE(is_run_folder(run_));
  EXPECT_EQ(kind_of([&] { run_recipe(run_); }), ErrorKind::kDamaged);
  replace_by_pipe(recipe);
  EXPECT_EQ(kind_of([&] { run_recipe(run_); }), ErrorKind::kDamaged);
  fs::remove(run_ + "/run.db");
  EXPECT_TRUE(is_run_folder(run_));
  fs::remove(recipe);
  EXPECT_FALSE(is_run_folder(run_));
}

// Whatever fails over them: an adapter of the run is read as any other is.
TEST_F(RunFilesTest, FilesThatAreEvidenceAreMissed) {
  const std::string name = "engraved/adapter/adapter_config.json";
  const std::string path = run_ + "/" + name;
  const auto store = open();
  make_folder(run_ + "/engraved/adapter");
  write_file_atomic(path, "{}");
  store->keep_files({name});
  EXPECT_NO_THROW(store::require_files(*store));
  EXPECT_EQ(store::find_damage(), "");
  write_file_atomic(path, "{} ");
  EXPECT_EQ(kind_of([&] { store::require_files(*store); }),
            ErrorKind::kDamaged);
  EXPECT_THAT(store::find_damage(),
              ::testing::HasSubstr(name + ": expected a file that the run "
                                          "wrote, found another; see what "
                                          "else is changed with: selfalign "
                                          "verify "));
  write_file_atomic(path, "{}");
  fs::rename(run_ + "/engraved", scratch_.path() + "/elsewhere");
  fs::create_directory_symlink(scratch_.path() + "/elsewhere",
                               run_ + "/engraved");
  EXPECT_THAT(store::find_damage(), ::testing::HasSubstr("a link"));
  fs::remove(run_ + "/engraved");
  fs::rename(scratch_.path() + "/elsewhere", run_ + "/engraved");
  EXPECT_EQ(store::find_damage(), "");
  replace_by_pipe(path);
  EXPECT_EQ(kind_of([&] { store::require_files(*store); }),
            ErrorKind::kDamaged);
  EXPECT_THAT(store::find_damage(),
              ::testing::HasSubstr(name + ": expected a file that the run "
                                          "wrote, found a pipe"));
  fs::remove(path);
  EXPECT_THAT(store::find_damage(), ::testing::HasSubstr("found none"));
}

// A run from elsewhere may have them lead anywhere.
TEST_F(RunFilesTest, FilesThatAreLinksAreDamage) {
  keep_run_files(recipe_, *open());
  for (const char* name :
       {"recipe.resolved.yaml", "prompts/meta.yaml", "prompts"}) {
    const std::string path = run_ + "/" + name;
    fs::rename(path, scratch_.path() + "/moved");
    fs::create_symlink(scratch_.path() + "/moved", path);
    EXPECT_EQ(kind_of([&] {
                run_recipe(run_);
                run_prompts(run_);
              }),
              ErrorKind::kDamaged)
        << name;
    fs::remove(path);
    fs::rename(scratch_.path() + "/moved", path);
  }
  EXPECT_NO_THROW(run_prompts(run_));
}

TEST_F(RunFilesTest, PlacesThatChangeAreKept) {
  const auto store = open();
  keep_run_files(recipe_, *store);
  store->add_rows({{1, "instruct.seeds", 0, {}, Json::object()}});
  recipe_.model.path = "/elsewhere";
  recipe_.serve.reload = "bash reload.sh";
  recipe_.model.num_engines = 2;
  set_log_level(LogLevel::kError);
  keep_run_files(recipe_, *store);
  EXPECT_EQ(run_recipe(run_).serve.reload, "");  // not before they were tried
  keep_places(recipe_, run_);
  set_log_level(LogLevel::kInfo);
  EXPECT_EQ(run_recipe(run_).model.path, "/elsewhere");
  EXPECT_EQ(run_recipe(run_).serve.reload, "bash reload.sh");
  EXPECT_EQ(run_recipe(run_).model.num_engines, 2);
  EXPECT_EQ(edited_recipe(*store), "");
  // The prompts of a run that goes on are its own; those it was made of stay.
  recipe_.prompts_folder = run_ + "/prompts";
  keep_places(recipe_, run_);
  EXPECT_EQ(run_recipe(run_).prompts_folder, fs::absolute("prompts"));
  recipe_.seed += 1;
  EXPECT_EQ(kind_of([&] { keep_run_files(recipe_, *store); }),
            ErrorKind::kUsage);
  EXPECT_EQ(run_recipe(run_).seed, recipe_.seed - 1);
}

// Seals hold against those alone who cannot compute them.
TEST_F(RunFilesTest, WhatTheStoreSaysOfThemIsReadAsTheyAre) {
  const auto store = open();
  keep_run_files(recipe_, *store);
  EXPECT_EQ(edited_recipe(*store), "");
  for (const char* text : {"a: &a [*a]", "a: [1", "", "- a"}) {
    store->set_meta("recipe", text);
    const Error error = error_of([&] { edited_recipe(*store); });
    EXPECT_EQ(error.kind(), ErrorKind::kDamaged) << text;
    EXPECT_THAT(error.what(), ::testing::HasSubstr("run.db: meta recipe"));
    EXPECT_THAT(error.what(), ::testing::HasSubstr("selfalign verify"));
  }
  for (const char* text : {"", "[]", "{\"meta.yaml\": 1}"}) {
    store->set_meta("prompts.files", text);
    EXPECT_EQ(kind_of([&] { edited_prompts(*store); }), ErrorKind::kDamaged)
        << text;
  }
}

// A run that was killed before it had its files is no damaged one, and goes on.
TEST_F(RunFilesTest, ARunWithoutItsFilesYetGoesOn) {
  open();
  EXPECT_TRUE(is_run_folder(run_));
  EXPECT_FALSE(has_run_files(run_));
  EXPECT_EQ(kind_of([&] { run_recipe(run_); }), ErrorKind::kInput);
  write_file_atomic(run_ + kRecipeFile, recipe_to_yaml(recipe_));
  EXPECT_EQ(run_recipe(run_).name, "run");
  EXPECT_EQ(kind_of([&] { run_prompts(run_); }), ErrorKind::kInput);
  keep_run_files(recipe_, *open());
  EXPECT_EQ(run_prompts(run_).principles.size(), 16u);
}

TEST_F(RunFilesTest, AFolderThatIsALinkIsNotWrittenTo) {
  const auto store = open();
  make_folder(scratch_.path() + "/elsewhere");
  fs::create_directory_symlink(scratch_.path() + "/elsewhere",
                               run_ + "/prompts");
  EXPECT_EQ(kind_of([&] { keep_run_files(recipe_, *store); }),
            ErrorKind::kDamaged);
  EXPECT_TRUE(fs::is_empty(scratch_.path() + "/elsewhere"));
}

}  // namespace
}  // namespace selfalign::recipe
