#include "serve/chat_form.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "serve/testing.h"
#include "stages/chat.h"

namespace selfalign::serve {
namespace {

stages::ChatPrompt layout() {
  return {"About.\n\n", "U: {instruction}\n", "A: ", "\n", {"\nU:"}};
}

std::string whole(const ChatText& text) {
  return (text.prefix ? *text.prefix : "") + text.suffix;
}

// What the server shows the model is what the terminal's chat shows it.
TEST(ChatFormTest, TheTextOfAChat) {
  const ChatForm form(layout(), ByteTokenizer());
  const ChatText text =
      form.render({{"user", "q {x}"}, {"assistant", "a"}, {"user", "r"}});
  EXPECT_EQ(whole(text),
            stages::render_chat(layout(), {{"q {x}", "a"}}, 0, "r"));
  ASSERT_NE(text.prefix, nullptr);
  EXPECT_EQ(*text.prefix, "About.");
  EXPECT_EQ(form.render({{"user", "s"}}).prefix, text.prefix);  // one object
  EXPECT_EQ(whole(form.render({{"system", "Be brief."}, {"user", "u"}})),
            "Be brief.\n\nU: u\nA: ");
}

// Tokens of two bytes: a cut in the wrong place gives others.
class PairTokenizer final : public text::Tokenizer {
 public:
  std::vector<int> encode(std::string_view text, bool) const override {
    std::vector<int> ids;
    for (size_t i = 0; i < text.size(); i += 2) {
      ids.push_back(text[i] * 256 + (i + 1 < text.size() ? text[i + 1] : 0));
    }
    return ids;
  }
  std::string decode(const std::vector<int>&, bool) const override {
    return "";
  }
  std::string decode_token(int, bool) const override { return ""; }
  int size() const override { return 1 << 16; }
  int bos() const override { return -1; }
  int eos() const override { return -1; }
  bool adds_bos() const override { return false; }
  const std::vector<int>& end_tokens() const override { return none_; }
  int token_id(std::string_view) const override { return -1; }
  bool is_special(int) const override { return false; }

 private:
  std::vector<int> none_;
};

TEST(ChatFormTest, APrefixThatChangesTheTokensIsNotShared) {
  stages::ChatPrompt prompt = layout();
  prompt.prompt = "Odd..\n\n";
  EXPECT_EQ(ChatForm(prompt, PairTokenizer()).render({{"user", "u"}}).prefix,
            nullptr);
  prompt.prompt = "Even..\n\n";
  EXPECT_NE(ChatForm(prompt, PairTokenizer()).render({{"user", "u"}}).prefix,
            nullptr);
  prompt.prompt = "";
  EXPECT_EQ(ChatForm(prompt, ByteTokenizer()).render({{"user", "u"}}).prefix,
            nullptr);
}

TEST(ChatFormTest, TheSameAsATemplate) {
  const std::string jinja = ChatForm(layout(), ByteTokenizer()).jinja();
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
