// SPDX-License-Identifier: Apache-2.0
#include "local/workbench.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/error.h"
#include "base/file.h"
#include "engine/testing.h"
#include "generate/testing_server.h"

namespace selfalign::local {
namespace {

using engine::ByteTokenizer;
using ::testing::ElementsAre;

stages::TrainingSample sample(bool ends) { return {0, {{"ab", "cd", ends}}}; }

// Two turns: "ab" and "f" are the user's, "cd" and "g" the answers.
stages::TrainingSample two_turns(bool first_ends) {
  return {0, {{"ab", "cd", first_ends}, {"_f", "g"}}};
}

train::Sample cut(const stages::TrainingSample& sample, int64_t max_length) {
  return tokenize_sample(ByteTokenizer(false), sample, max_length).sample;
}

TEST(TokenizeSampleTest, TheLossStartsAfterThePrompt) {
  const auto one = tokenize_sample(ByteTokenizer(false), sample(true), 100);
  EXPECT_THAT(one.sample.inputs, ElementsAre('a', 'b', 'c', 'd'));
  EXPECT_THAT(one.sample.loss_rows, ElementsAre(1, 2, 3));
  EXPECT_THAT(one.sample.targets, ElementsAre('c', 'd', 256));
  EXPECT_FALSE(one.truncated);
}

TEST(TokenizeSampleTest, BosWhereTheModelHasOneAndNoEndWhereThereIsNone) {
  const auto one = tokenize_sample(ByteTokenizer(true), sample(false), 100);
  EXPECT_THAT(one.sample.inputs, ElementsAre(257, 'a', 'b', 'c'));
  EXPECT_THAT(one.sample.loss_rows, ElementsAre(2, 3));
  EXPECT_THAT(one.sample.targets, ElementsAre('c', 'd'));
}

TEST(TokenizeSampleTest, ACutSampleTeachesNoStop) {
  const auto exact = tokenize_sample(ByteTokenizer(false), sample(true), 5);
  EXPECT_FALSE(exact.truncated);
  const auto cut = tokenize_sample(ByteTokenizer(false), sample(true), 4);
  EXPECT_TRUE(cut.truncated);
  EXPECT_THAT(cut.sample.inputs, ElementsAre('a', 'b', 'c'));
  EXPECT_THAT(cut.sample.targets, ElementsAre('c', 'd'));
}

// The end-of-text token after the first answer is predicted and not read: the
// inputs are what a chat shows the model as its history.
TEST(TokenizeSampleTest, EveryAnswerIsLearnedAndWhereItStops) {
  const auto two = tokenize_sample(ByteTokenizer(false), two_turns(true), 100);
  EXPECT_FALSE(two.truncated);
  EXPECT_THAT(two.sample.inputs,
              ElementsAre('a', 'b', 'c', 'd', '_', 'f', 'g'));
  EXPECT_THAT(two.sample.loss_rows, ElementsAre(1, 2, 3, 5, 6));
  EXPECT_THAT(two.sample.targets, ElementsAre('c', 'd', 256, 'g', 256));
  EXPECT_THAT(cut(two_turns(false), 100).targets,
              ElementsAre('c', 'd', 'g', 256));
}

TEST(TokenizeSampleTest, AnAnswerThatIsNotLearntIsReadAndHasNoLoss) {
  stages::TrainingSample sample = two_turns(true);
  sample.turns[0].learn = false;
  EXPECT_THAT(cut(sample, 100).inputs,
              ElementsAre('a', 'b', 'c', 'd', '_', 'f', 'g'));
  EXPECT_THAT(cut(sample, 100).loss_rows, ElementsAre(5, 6));
  EXPECT_THAT(cut(sample, 100).targets, ElementsAre('g', 256));
  // Behind the last that is learnt nothing is read.
  sample.turns[0].learn = true;
  sample.turns[1].learn = false;
  EXPECT_THAT(cut(sample, 100).inputs, ElementsAre('a', 'b', 'c', 'd'));
  EXPECT_THAT(cut(sample, 100).targets, ElementsAre('c', 'd', 256));
  EXPECT_FALSE(tokenize_sample(ByteTokenizer(false), sample, 5).truncated);
}

TEST(TokenizeSampleTest, WhatIsLeftOfACutConversationEndsInAnAnswer) {
  EXPECT_THAT(cut(two_turns(true), 8).targets,
              ElementsAre('c', 'd', 256, 'g', 256));
  EXPECT_THAT(cut(two_turns(true), 7).targets, ElementsAre('c', 'd', 256, 'g'));
  for (const int64_t length : {5, 6}) {  // the user's second turn is left out
    EXPECT_THAT(cut(two_turns(true), length).inputs,
                ElementsAre('a', 'b', 'c', 'd'));
    EXPECT_THAT(cut(two_turns(true), length).targets,
                ElementsAre('c', 'd', 256));
    EXPECT_TRUE(tokenize_sample(ByteTokenizer(false), two_turns(true), length)
                    .truncated);
  }
  EXPECT_THAT(cut(two_turns(true), 4).targets, ElementsAre('c', 'd'));
  EXPECT_TRUE(cut(two_turns(true), 2).inputs.empty());
}

TEST(LocalWorkbenchTest, OpensAServersModelAndSendsTheKeyOfTheEnvironment) {
  std::string headers;
  const generate::TestServer server([&](const generate::TestRequest& request) {
    headers = request.headers;
    return generate::TestReply{.body = R"({"data": [{"id": "tiny"}]})"};
  });
  ::setenv("SELFALIGN_API_KEY", "secret-7", 1);
  recipe::ModelOptions model;
  model.path = server.url() + "#tiny";
  LocalWorkbench workbench;
  const auto generator = workbench.open_generator(model, "");
  ::unsetenv("SELFALIGN_API_KEY");
  EXPECT_EQ(generator->fingerprint(), "remote tiny");
  EXPECT_THAT(headers, ::testing::HasSubstr("Bearer secret-7\r\n"));
  const std::string file = ::testing::TempDir() + "selfalign_key_file";
  write_file_atomic(file, "127.0.0.1:1 other " +
                              server.url().substr(7, server.url().size() - 10) +
                              " secret-8\n");
  model.api_key_file = file;
  EXPECT_THROW(workbench.open_generator(model, ""), Error);
  std::filesystem::permissions(file, std::filesystem::perms::owner_read);
  workbench.open_generator(model, "");
  EXPECT_THAT(headers, ::testing::HasSubstr("Bearer secret-8\r\n"));
  std::filesystem::remove(file);
  EXPECT_THROW(workbench.open_generator(model, "adapter"), Error);
  EXPECT_THROW(workbench.tune(model, {}, {}, {}, "folder"), Error);
  EXPECT_THROW(workbench.tokenizer(model.path), Error);
}

}  // namespace
}  // namespace selfalign::local
