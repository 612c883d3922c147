// SPDX-License-Identifier: Apache-2.0
#include "eval/results.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/file.h"
#include "base/testing.h"

namespace selfalign::eval {
namespace {

class ResultsTest : public testing::Test {
 protected:
  const ScratchFolder scratch_;
  const std::string folder_ = scratch_.path() + "/evaluation";
};

Results one(const std::string& task, const std::string& subject, double value) {
  Results results;
  results.subjects.push_back({subject, "the " + subject, "m", "", "f"});
  TaskResult result;
  result.task = task;
  result.subject = subject;
  result.metrics.emplace_back();
  result.metrics.back().name = "mc1";
  result.metrics.back().value = value;
  results.results.push_back(result);
  return results;
}

TEST_F(ResultsTest, ANewResultReplacesItsOwnAndLeavesTheOthers) {
  {
    ResultsWriter writer(folder_);
    EXPECT_TRUE(writer.results().results.empty());
    writer.merge(one("hhh", "base", 0.5));
    writer.merge(one("hhh", "verbose", 0.6));
  }
  {
    ResultsWriter writer(folder_);
    writer.merge(one("hhh", "base", 0.7));
    Results fresh;
    fresh.comparisons = {{.task = "v", .judge = "m", .a = "x", .b = "y"}};
    writer.merge(fresh);
    fresh.comparisons[0].num_open = 3;
    writer.merge(fresh);
  }
  const Results results = read_results(folder_);
  ASSERT_EQ(results.results.size(), 2u);
  EXPECT_EQ(results.results[0].metrics[0].value, 0.7);
  EXPECT_EQ(results.results[1].subject, "verbose");
  EXPECT_EQ(results.subjects.size(), 2u);
  ASSERT_EQ(results.comparisons.size(), 1u);
  EXPECT_EQ(results.comparisons[0].num_open, 3);
}

// That of a run, which may come from anybody; a person's own may be a link.
TEST_F(ResultsTest, AFolderOfARunIsNoLink) {
  namespace fs = std::filesystem;
  const std::string elsewhere = scratch_.path() + "/elsewhere";
  make_folder(elsewhere);
  fs::create_directory_symlink(elsewhere, folder_);
  EXPECT_NO_THROW(ResultsWriter{folder_});
  fs::remove_all(elsewhere);
  make_folder(elsewhere);
  write_file_atomic(scratch_.path() + "/recipe.resolved.yaml", "");
  for (const std::string& folder : {folder_, folder_ + "/"}) {
    EXPECT_EQ(kind_of([&] { ResultsWriter{folder}; }), ErrorKind::kDamaged);
    EXPECT_EQ(kind_of([&] { read_results(folder); }), ErrorKind::kDamaged);
  }
  EXPECT_TRUE(fs::is_empty(elsewhere));
}

// A title may be the name of a folder, and such need not be UTF-8.
// One answer to two decodings, and a comparison of each.
TEST_F(ResultsTest, ResultsUnderAnotherDecodingStandBesideTheFirst) {
  ResultsWriter writer(folder_);
  Results results = one("vicuna", "base", 0.5);
  Json& settings = results.results[0].settings;
  results.comparisons = {{.task = "vicuna", .judge = "j", .a = "x", .b = "y"}};
  const auto merge = [&](const char* how, double temperature) {
    settings = {{"decoding", how},
                {"sampling", {{"temperature", temperature}}}};
    results.comparisons[0].settings = settings;
    writer.merge(results);
  };
  merge("one", 0.7);
  merge("one", 0.7);
  EXPECT_EQ(writer.results().results.size(), 1);
  merge("one", 0.3);
  merge("own", 0.5);
  merge("own", 0.6);
  EXPECT_EQ(writer.results().results.size(), 3);
  EXPECT_EQ(writer.results().comparisons.size(), 3);
  const auto decodings = decodings_of(writer.results(), "vicuna");
  ASSERT_EQ(decodings.size(), 3);
  EXPECT_EQ(decodings[2], "own");
  EXPECT_EQ(under_decoding(writer.results(), "own").results.size(), 1);
  // Not decoded, or nobody knows how: beside all others.
  writer.merge(one("vicuna", "given", 0.1));
  EXPECT_EQ(under_decoding(writer.results(), "own").results.size(), 2);
  // Of a version that did not say: each by its stage's.
  EXPECT_EQ(decoding_of({{"max_new_tokens", 1024}}), "own");
  EXPECT_EQ(decoding_text({{"max_new_tokens", 1024}}), "not recorded");
  EXPECT_EQ(decoding_of({{"items", "2"}}), "");
  EXPECT_EQ(decoding_part({{"items", "2"}}), Json({{"decoding", "given"}}));
  EXPECT_EQ(decoding_of(decoding_part(settings)), "own");
}

TEST_F(ResultsTest, BytesThatAreNotUtf8AreReplaced) {
  Results results = one("hhh", "base", 0.5);
  results.subjects[0].title = "caf\xe9";
  results.results[0].metrics[0].note = "\xff";
  ResultsWriter(folder_).merge(results);
  const Results found = read_results(folder_);
  EXPECT_EQ(found.subjects.at(0).title, "caf\uFFFD");
  EXPECT_EQ(found.results.at(0).metrics.at(0).note, "\uFFFD");
}

TEST_F(ResultsTest, OneWriterAtATime) {
  const ResultsWriter writer(folder_);
  EXPECT_THROW(ResultsWriter{folder_}, Error);
}

TEST_F(ResultsTest, WhatIsNoResultsFileIsNamed) {
  make_folder(folder_);
  write_file_atomic(folder_ + "/results.json", "{\"subjects\": []}");
  const Error error = error_of([&] { read_results(folder_); });
  EXPECT_EQ(error.kind(), ErrorKind::kInput);
  EXPECT_THAT(
      error.what(),
      testing::HasSubstr("results.json: expected 'results' to be a list, "
                         "found nothing"));
}

TEST_F(ResultsTest, AnEmptyFileSaysWhatMayBeRemoved) {
  make_folder(folder_);
  write_file_atomic(folder_ + "/results.json", "");
  const Error error = error_of([&] { read_results(folder_); });
  EXPECT_EQ(error.kind(), ErrorKind::kInput);
  EXPECT_THAT(error.what(), testing::HasSubstr("found an empty file"));
  EXPECT_THAT(error.what(), testing::HasSubstr("remove it and evaluate"));
}

}  // namespace
}  // namespace selfalign::eval
