// SPDX-License-Identifier: Apache-2.0
#include "eval/forms.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace selfalign::eval {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;

generate::Sampling sampling() {
  generate::Sampling sampling;
  sampling.max_new_tokens = 9;
  return sampling;
}

TEST(FormsTest, AShortPromptWithItsHistory) {
  const recipe::ChatPrompt prompt{
      "P\n", "U {instruction}\n", "A\n", "\n--\n", {"\nU "}};
  const auto form = chat_form(prompt, sampling());
  const generate::Request request = form->ask({{"a", "b"}}, "c");
  EXPECT_EQ(*request.prefix, "P\n");
  EXPECT_EQ(request.suffix, "U a\nA\nb\n--\nU c\nA\n");
  EXPECT_THAT(request.sampling.stop, testing::ElementsAre("\nU "));
  EXPECT_EQ(request.sampling.max_new_tokens, 9);
  ASSERT_EQ(request.messages.size(), 4u);
  EXPECT_EQ(request.messages[0].role, "system");
  EXPECT_EQ(request.messages[0].content, "P");
  EXPECT_EQ(request.messages[2].role, "assistant");
  EXPECT_EQ(request.messages[2].content, "b");
  EXPECT_EQ(request.messages[3].content, "c");
  EXPECT_EQ(form->context("c"), "P\nU c\nA\n");
  EXPECT_EQ(answer_start(form->context("c")), "");
  generate::Completion completion;
  completion.text = "  yes \n";
  EXPECT_EQ(form->read(completion), "yes");
}

TEST(FormsTest, ThoughtsAreCutAndLeftOut) {
  const recipe::Prompts prompts = recipe::load_prompts("prompts");
  const auto form = prompted_form(prompts, sampling());
  const generate::Request request = form->ask({{"first", "one"}}, "second");
  const recipe::AlignPrompt& align = prompts.align;
  EXPECT_EQ(*request.prefix, recipe::align_prefix(prompts));
  EXPECT_THAT(request.suffix, EndsWith(align.thought_tag));
  EXPECT_THAT(request.suffix, HasSubstr(align.answer_tag + " one\n\n"));
  const std::string context = form->context("second");
  EXPECT_THAT(context, EndsWith("second\n\n" + align.answer_tag));
  EXPECT_EQ(answer_start(context), " ");
  generate::Completion completion;
  completion.text =
      " hm\n\n" + align.answer_tag + " yes\n\n" + align.user_tag + " next";
  EXPECT_EQ(form->read(completion), "yes");
  completion.text = " only thoughts";
  EXPECT_EQ(form->read(completion), "");
}

}  // namespace
}  // namespace selfalign::eval
