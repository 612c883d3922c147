// SPDX-License-Identifier: Apache-2.0
#include "serve/chat_form.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "recipe/chat.h"
#include "recipe/testing.h"
#include "serve/testing.h"

namespace selfalign::serve {
namespace {

// What the server shows the model is what the terminal's chat shows it.
TEST(ChatFormTest, TheTextOfAChat) {
  const ChatForm form(recipe::chat_layout());
  const generate::Request request =
      form.render({{"user", "q {x}"}, {"assistant", "a"}, {"user", "r"}});
  const recipe::ChatText chat =
      recipe::render_chat(recipe::chat_layout(), {{"q {x}", "a"}}, 0, "r");
  EXPECT_EQ(recipe::whole_prompt(request), chat.text);
  ASSERT_NE(request.prefix, nullptr);
  EXPECT_EQ(*request.prefix, "About.\n\n");
  ASSERT_EQ(request.cuts.size(), 2u);  // the answer "a" is a piece of its own
  EXPECT_EQ(
      request.suffix.substr(request.cuts[0], request.cuts[1] - request.cuts[0]),
      "a");
  EXPECT_EQ(request.cuts[0] + request.prefix->size(), chat.cuts[0]);
  const generate::Request system =
      form.render({{"system", "Be brief."}, {"user", "u"}});
  // It is the prefix, too: no penalty counts its tokens.
  EXPECT_EQ(*system.prefix, "Be brief.\n\n");
  EXPECT_EQ(system.suffix, "U: u\nA: ");
  recipe::ChatPrompt bare = recipe::chat_layout();
  bare.prompt = "";
  EXPECT_EQ(ChatForm(bare).render({{"user", "u"}}).prefix, nullptr);
}

TEST(ChatFormTest, TheSameAsATemplate) {
  const std::string jinja = ChatForm(recipe::chat_layout()).jinja();
  EXPECT_EQ(jinja,
            "{% if messages[0].role == 'system' %}{{ messages[0].content + "
            "\"\\n\\n\" }}{% else %}{{ \"About.\\n\\n\" }}{% endif %}"
            "{% for message in messages %}"
            "{% if message.role == 'user' %}"
            "{{ \"U: \" + message.content + \"\\n\" }}"
            "{% if not loop.last or add_generation_prompt %}{{ \"A: \" }}"
            "{% endif %}"
            "{% elif message.role == 'assistant' %}{{ message.content }}"
            "{% if not loop.last %}{{ \"\\n\" }}{% endif %}"
            "{% endif %}{% endfor %}");
}

}  // namespace
}  // namespace selfalign::serve
