// SPDX-License-Identifier: Apache-2.0
#include "stages/adapter_prompt.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/testing.h"
#include "recipe/chat.h"
#include "recipe/decoding.h"

namespace selfalign::stages {
namespace {

using ::testing::HasSubstr;

class AdapterPromptTest : public testing::Test {
 protected:
  std::string folder() const { return scratch_.path(); }
  void change(const char* name, const Json& value) const {
    Json json = parse_json(read_file(folder() + "/selfalign.json"), "file");
    json[Json::json_pointer(name)] = value;
    write_file_atomic(folder() + "/selfalign.json", dump_json(json));
  }
  Error refusal() const {
    return error_of([&] { read_adapter_prompt(folder()); });
  }

  const ScratchFolder scratch_;
  const AdapterPrompt adapter_{"final",
                               {"About \"Sage\".\n\n",
                                "### User\n{instruction}\n\n",
                                "### Sage\n",
                                "\n\n",
                                {"\n### User"}},
                               recipe::comparison_sampling(),
                               "SmolLM2"};
};

TEST_F(AdapterPromptTest, ComesBackAsItWasWritten) {
  EXPECT_FALSE(read_adapter_prompt(folder()));
  write_adapter_prompt(folder(), adapter_, "/no/model.gguf");
  const auto found = read_adapter_prompt(folder());
  ASSERT_TRUE(found);
  EXPECT_EQ(found->form, "final");
  EXPECT_EQ(found->base, "SmolLM2");
  EXPECT_EQ(found->prompt.prompt, adapter_.prompt.prompt);
  EXPECT_EQ(found->prompt.user, adapter_.prompt.user);
  EXPECT_EQ(found->prompt.answer, adapter_.prompt.answer);
  EXPECT_EQ(found->prompt.between, adapter_.prompt.between);
  EXPECT_EQ(found->prompt.stop, adapter_.prompt.stop);
  EXPECT_EQ(recipe::to_json(found->sampling),
            recipe::to_json(adapter_.sampling));
}

// Of an HF folder the tokenizer comes along, with the adapter's template.
TEST_F(AdapterPromptTest, OtherServersFindATemplate) {
  const std::string model = folder() + "/model";
  make_folder(model);
  write_file_atomic(model + "/tokenizer.json", "{}");
  write_file_atomic(model + "/tokenizer_config.json",
                    R"({"eos_token": "</s>", "chat_template": "other"})");
  write_adapter_prompt(folder(), adapter_, model);
  const Json config =
      parse_json(read_file(folder() + "/tokenizer_config.json"), "config");
  EXPECT_EQ(config["eos_token"], "</s>");
  EXPECT_EQ(config["chat_template"], chat_template(adapter_.prompt));
  EXPECT_EQ(read_file(folder() + "/chat_template.jinja"),
            chat_template(adapter_.prompt));
  EXPECT_EQ(read_file(folder() + "/tokenizer.json"), "{}");
}

TEST_F(AdapterPromptTest, WhatIsWrongInTheFileIsNamed) {
  const std::string long_name = "/" + std::string(1 << 20, 'n');
  for (const auto& [name, value] :
       {std::pair<const char*, Json>{"/form", 3},
        {"/prompt", "x"},
        {"/prompt/user", "no place"},
        {"/prompt/user", "{instruction} {instruction}"},
        {"/prompt/stop", "x"},
        {"/prompt/stop", Json::array({""})},
        {"/sampling", Json()},
        {"/mood", "cheerful"},
        {long_name.c_str(), 1},
        {"/prompt/user", long_name},
        {"/prompt/system", "x"},
        {"/sampling/top_k", 5},
        {"/sampling/top_p", 2}}) {
    write_adapter_prompt(folder(), adapter_, "");
    change(name, value);
    const Error error = refusal();
    EXPECT_EQ(error.kind(), ErrorKind::kInput) << name << error.what();
    EXPECT_THAT(error.what(), HasSubstr("selfalign.json")) << name;
    EXPECT_LT(std::string(error.what()).size(), 500u);
  }
  write_adapter_prompt(folder(), adapter_, "");
  change("/format", 2);
  EXPECT_EQ(refusal().kind(), ErrorKind::kUsage);
  EXPECT_THAT(refusal().what(), HasSubstr("expected format 1, found 2"));
}

// LLaMA-2's tokenizer puts <s> before every text; who renders a template does
// not.
TEST_F(AdapterPromptTest, TheTemplateHasTheBosOfABaseThatWantsOne) {
  const std::string source =
      "../shared/reference/tokenizers/llama2_sentencepiece/tokenizer.model";
  if (!std::filesystem::exists(source)) GTEST_SKIP() << "no " << source;
  const std::string model = folder() + "/model";
  make_folder(model);
  std::filesystem::copy(source, model + "/tokenizer.model");
  write_adapter_prompt(folder(), adapter_, model);
  EXPECT_EQ(read_file(folder() + "/chat_template.jinja"),
            chat_template(adapter_.prompt, "<s>"));
  EXPECT_THAT(chat_template(adapter_.prompt, "<s>"),
              ::testing::StartsWith("{{ \"<s>\" }}{% if"));
}

// Also where no Python renders it.
TEST_F(AdapterPromptTest, TheTemplateHoldsEveryTextOfThePromptInItsPlace) {
  const recipe::ChatPrompt prompt{
      "[P]", "[U]{instruction}[E]", "[A]", "[B]", {}};
  EXPECT_EQ(chat_template(prompt),
            "{% if messages[0].role == 'system' %}"
            "{{ messages[0].content + \"\\n\\n\" }}"
            "{% else %}{{ \"[P]\" }}{% endif %}"
            "{% for message in messages %}{% if message.role == 'user' %}"
            "{{ \"[U]\" + message.content + \"[E]\" }}"
            "{% if not loop.last or add_generation_prompt %}"
            "{{ \"[A]\" }}{% endif %}"
            "{% elif message.role == 'assistant' %}{{ message.content }}"
            "{% if not loop.last %}{{ \"[B]\" }}{% endif %}"
            "{% endif %}{% endfor %}");
}

// As transformers renders: its environment, its arguments.
constexpr char kRender[] = R"(
import json, sys
from jinja2.sandbox import ImmutableSandboxedEnvironment
template, chats, out = sys.argv[1:]
environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
render = environment.from_string(open(template, encoding='utf-8').read()).render
texts = [render(messages=chat, add_generation_prompt=True)
         for chat in json.load(open(chats, encoding='utf-8'))]
json.dump(texts, open(out, 'w', encoding='utf-8'))
)";

Json messages(const std::string& system,
              const std::vector<recipe::ChatTurn>& turns,
              const std::string& user) {
  Json list = Json::array();
  const auto add = [&list](const char* role, const std::string& text) {
    list.push_back({{"role", role}, {"content", text}});
  };
  if (!system.empty()) add("system", system);
  for (const recipe::ChatTurn& turn : turns) {
    add("user", turn.user);
    add("assistant", turn.answer);
  }
  add("user", user);
  return list;
}

TEST_F(AdapterPromptTest, JinjaWritesWhatAChatShowsTheModel) {
  const char* given = std::getenv("SELFALIGN_PYTHON");
  const std::string python = given == nullptr ? "python3" : given;
  if (std::system((python + " -c 'import jinja2' 2>/dev/null").c_str()) != 0) {
    GTEST_SKIP() << "no jinja2 for " << python << ": name one that has it with "
                 << "SELFALIGN_PYTHON";
  }
  const std::string odd =
      "{{ x }} {% if %} \"q\" \\n \t é 中 😀 {instruction}\n";
  const std::vector<std::vector<recipe::ChatTurn>> talks = {
      {}, {{"Hi", "Hello."}}, {{odd, odd}, {"b", "c\n\n"}}};
  write_file_atomic(folder() + "/render.py", kRender);
  std::vector<std::string> forms = recipe::chat_forms();
  for (const std::string& form : forms) {
    recipe::ChatPrompt prompt = recipe::read_chat_prompt("prompts", form);
    if (form == "none") prompt.answer = "A \"{%\" \\ 😀:\n";
    Json chats = Json::array();
    std::vector<std::string> expected;
    for (const std::string& system : {std::string(), "Be brief. " + odd}) {
      for (const std::vector<recipe::ChatTurn>& turns : talks) {
        recipe::ChatPrompt own = prompt;
        if (!system.empty()) own.prompt = system + "\n\n";
        chats.push_back(messages(system, turns, odd));
        expected.push_back(render_chat(own, turns, 0, odd).text);
      }
    }
    write_file_atomic(folder() + "/t.jinja", chat_template(prompt));
    write_file_atomic(folder() + "/chats.json", dump_json(chats));
    const std::string command = python + " " + folder() + "/render.py " +
                                folder() + "/t.jinja " + folder() +
                                "/chats.json " + folder() + "/out.json";
    ASSERT_EQ(std::system(command.c_str()), 0) << form;
    const Json texts = parse_json(read_file(folder() + "/out.json"), "out");
    for (size_t i = 0; i < expected.size(); ++i) {
      EXPECT_EQ(texts.at(i), expected[i]) << form << " " << i;
    }
  }
}

}  // namespace
}  // namespace selfalign::stages
