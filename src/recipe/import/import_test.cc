// SPDX-License-Identifier: Apache-2.0
#include "recipe/import/import.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/file.h"
#include "base/testing.h"
#include "parse/thoughts.h"
#include "recipe/prompts.h"

namespace selfalign::recipe {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kAlign[] =
    "# Owl\n\nOwl is {wise}. Owl keeps these rules:\n\n"
    "1 (kind). Owl is kind.\n2 (brief & clear). Owl says: little.\n\n"
    "## Talks\n\nThis is Owl at work.\n\n"
    "User: Sum up:\n\n1, 2\n\n"
    "Owl (internal thoughts): Rules 2 (brief & clear) apply.\n\n"
    "Owl: It is {3}.\n\nSure.\n\n"
    "User: And twice?\n\n"
    "Owl (internal thoughts): I follow rules 1 (kind).\n\nOwl: 6\n\n"
    "User: Thanks\n\nOwl (auto reply): Bye.\n\n"
    "User: 你好\n\n"
    "Owl (internal thoughts): I follow rules 1 (kind).\n\nOwl: Hi.\n\n"
    "User: Fine\n\nOwl (auto reply): See you.\n\n"
    "User:";

std::string replaced(std::string text, const std::string& from,
                     const std::string& to) {
  return text.replace(text.find(from), from.size(), to);
}

class ImportTest : public ::testing::Test {
 protected:
  ImportTest() { make_folder(folder_ + "/in"); }

  void put(const std::string& name, const std::string& text) {
    write_file_atomic(folder_ + "/in/" + name, text);
  }
  ImportReport import_all() {
    return import_prompts({folder_ + "/in"}, "prompts", folder_ + "/out");
  }
  std::string error() {
    return message_of([&] { import_all(); });
  }
  // Our prompts with the imported files in place of ours.
  Prompts result(const std::string& out = "/out") {
    const std::string whole = folder_ + "/whole";
    fs::remove_all(whole);
    make_folder(whole);
    for (const std::string& file : prompt_files()) {
      const std::string mine = folder_ + out + "/" + file;
      fs::copy(fs::exists(mine) ? mine : "prompts/" + file, whole + "/" + file);
    }
    return load_prompts(whole);
  }

  const ScratchFolder scratch_;
  const std::string folder_ = scratch_.path();
};

TEST_F(ImportTest, ASelfAlignPromptComesOutByteForByte) {
  put("any name.txt", std::string(kAlign) + "\n");
  const ImportReport report = import_all();
  EXPECT_THAT(report.files.at(0).became,
              HasSubstr("2 principles, 2 exemplars"));
  EXPECT_THAT(report.written,
              ElementsAre("align.yaml", "exemplars.yaml", "principles.yaml"));
  const Prompts prompts = result();
  EXPECT_EQ(align_prefix(prompts) + "User:", kAlign);
  EXPECT_EQ(prompts.principles[1].name, "brief & clear");
  EXPECT_EQ(prompts.exemplars[0].turns.size(), 2u);
  EXPECT_EQ(prompts.exemplars[0].turns[0].answer, "It is {3}.\n\nSure.");
  EXPECT_EQ(align_suffix(prompts, "Why?"),
            "User: Why?\n\nOwl (internal thoughts):");
  EXPECT_THAT(prompts.align.stop, ::testing::Contains("\nOwl (auto reply):"));
}

TEST_F(ImportTest, DamagedSelfAlignPromptsAreExplained) {
  const std::string whole = kAlign;
  const auto without = [&](const std::string& part) {
    std::string text = whole;
    return text.erase(text.find(part), part.size());
  };
  const std::pair<std::string, const char*> cases[] = {
      {without("1 (kind). Owl is kind.\n"),
       "expected rules \"1 (name). text\""},
      {without("\n\nUser: Sum up:\n\n1, 2"), "another order at"},
      {without("\n\nOwl: 6"), "another order at"},
      {whole.substr(0, whole.size() - 5), "another end"},
      {whole + " x", "another end"},
      {"# Owl\n(internal thoughts):", "expected rules"},
      {"# \n\n1 (a). b\n(internal thoughts):", "a first line \"# NAME\""},
      {replaced(whole, "rules 1 (kind)", "rules 7 (odd)"), "exemplars.yaml"}};
  for (const auto& [text, expected] : cases) {
    put("a.txt", text);
    EXPECT_THAT(error(), HasSubstr(expected)) << text;
    EXPECT_FALSE(fs::exists(folder_ + "/out"));
  }
}

TEST_F(ImportTest, SeedsQuestionsAndIdentityRows) {
  put("a.jsonl",
      R"({"id":"1","name":"x","instruction":"Add: {a}","instances":[)"
      R"({"input":"1\n2","output":"3"},{"input":"","output":""}]})"
      "\n\n"
      R"({"instruction":"null","instances":[{"input":"","output":"y"}]})"
      "\n");
  put("b.jsonl",
      R"({"topic":"Sea","question_type":"Questions on water","question":"Why?"})"
      "\n"
      R"({"topic":"Lake","question_type":"Questions on water"})"
      "\n"
      R"({"topic":"Sun","question_type":"No seed"})");
  put("c.json",
      R"([{"id":"0","conversations":[{"from":"human","value":"Who?"},)"
      R"({"from":"gpt","value":"Owl."},{"from":"human","value":"What?"},)"
      R"({"from":"gpt","value":"Talk."}]},{"conversations":[)"
      R"({"from":"human","value":"Who?"},{"from":"gpt","value":"Owl."}]}])");
  const ImportReport report = import_all();
  EXPECT_THAT(report.written,
              ElementsAre("identity.yaml", "red_team.yaml", "seed_tasks.yaml"));
  EXPECT_THAT(report.files[0].left_out, HasSubstr("1 further instances"));
  EXPECT_THAT(report.files[1].left_out, HasSubstr("1 types without"));
  EXPECT_THAT(report.files[2].left_out, HasSubstr("1 pairs"));
  EXPECT_THAT(report.notes, ElementsAre(HasSubstr("no answer names Sage")));
  const Prompts prompts = result();
  ASSERT_EQ(prompts.seed_tasks.size(), 2u);
  EXPECT_EQ(prompts.seed_tasks[0].input, "1\n2");
  EXPECT_EQ(prompts.seed_tasks[1].instruction, "null");
  ASSERT_EQ(prompts.red_team.types.size(), 1u);
  EXPECT_THAT(prompts.red_team.types[0].topics, ElementsAre("Sea", "Lake"));
  EXPECT_EQ(prompts.red_team.topic_prompt,
            load_prompts("prompts").red_team.topic_prompt);
  ASSERT_EQ(prompts.identity.size(), 2u);
  EXPECT_EQ(prompts.identity[1].answer, "Talk.");
}

TEST_F(ImportTest, PromptsOfStage1KeepTheirWords) {
  put("a.txt",
      "Write a set of 12 tasks.\n\n1. Be short.\n2. Put \"<noinput>\" {so}.\n\n"
      "List of 12 tasks:");
  put("b.txt",
      "Write a set of 7 topics for one type: {}.\n\nList of 7 topics:");
  put("c.txt", "A set of 20 things.\n\n20 Hints:\n{}\n\n20 Things:\n{}");
  const ImportReport report = import_all();
  EXPECT_THAT(report.notes, IsEmpty());
  const Prompts prompts = result();
  EXPECT_EQ(prompts.self_instruct.num_total, 12);
  EXPECT_EQ(prompts.self_instruct.no_input, "<noinput>");
  EXPECT_EQ(prompts.self_instruct.prompt,
            "Write a set of {total} tasks.\n\n1. Be short.\n2. Put "
            "\"<noinput>\" {{so}}.\n\nList of {total} tasks:\n\n{exemplars}"
            "\n\n{next}. Task:");
  EXPECT_EQ(prompts.red_team.num_topics, 7);
  EXPECT_EQ(prompts.red_team.topic_prompt,
            "Write a set of {total} topics for one type: {type}.\n\nList of "
            "{total} topics:\n\n{topics}\n{next}.");
  EXPECT_EQ(prompts.red_team.question_prompt,
            "A set of 20 things.\n\n20 Hints:\n{hints}\n\n20 Things:\n"
            "{examples}\n{hints}");
  EXPECT_EQ(prompts.red_team.list_prompt,
            "A set of 20 things.\n\n20 Hints:\n\n{hints}\n\n20 Things:\n\n"
            "{examples}\n");
}

constexpr char kHead[] = "# Owl\n\nOwl is {wise}.\n\n## Talk\n\n";

TEST_F(ImportTest, ChatPromptsAreToldApartByTheirTurns) {
  const std::string ask = "### User\nWho?\n\n";
  const std::string head = kHead;
  put("1.txt", head + "### User");
  put("2.txt", head + ask + "### Owl\nI am Owl.\n\n### User");
  put("3.txt", head + ask + "### Owl\nI am Owl.\n\nAsk me.\n\n### User\n");
  put("4.txt", head + "### User\n你是谁？\n\n### Owl\n我是 Owl。\n\n### User");
  put("5.txt",
      head + ask + "### Owl\nOwl.\n\n" + ask + "### Owl\nO.\n\n### User");
  put("6.txt", head + ask + "### Owl (long)\nI am Owl.\n\n### User");
  const ImportReport report = import_all();
  EXPECT_THAT(report.written, ElementsAre("meta.yaml"));
  const Prompts prompts = result();
  const auto text = [&](const std::string& form) {
    return chat_form(prompts, form).prompt + "### User";
  };
  EXPECT_EQ(text("concise"), head + "### User");
  EXPECT_EQ(text("standard"), head + ask + "### Owl\nI am Owl.\n\n### User");
  EXPECT_THAT(text("verbose"), HasSubstr("Ask me.\n\n### User"));
  EXPECT_THAT(text("multilingual"), HasSubstr("我是 Owl。\n\n### User"));
  EXPECT_THAT(text("few-shot"), HasSubstr("### Owl\nO.\n\n### User"));
  EXPECT_EQ(prompts.engraved.prompt + "### User", text("standard"));
  EXPECT_EQ(chat_turn(prompts.engraved, "Hi"), "### User\nHi\n\n### Owl\n");
  EXPECT_EQ(prompts.verbose_distill.answer, "### Owl (long)\n");
  EXPECT_THAT(prompts.verbose_distill.prompt,
              HasSubstr("### Owl (long)\nI am"));
  // What is still ours has the name, too.
  EXPECT_THAT(text("introduction"), HasSubstr("I am Owl, an AI assistant"));
  EXPECT_THAT(report.notes, ::testing::Contains(HasSubstr("names Owl")));
}

TEST_F(ImportTest, TwoNamesOfAnAssistantDoNotGoTogether) {
  put("1.txt", std::string(kHead) + "### User");
  put("2.txt", "# Elk\n\nElk.\n\n### User\na\n\n### Elk\nElk!\n\n### User");
  EXPECT_THAT(error(), HasSubstr("2.txt: expected the name Owl"));
  put("2.txt",
      "# Owl\n\nOwl.\n\n### User\na\n\n### User\nb\n\n### Owl\nc\n\n### User");
  EXPECT_THAT(error(), HasSubstr("by turns"));
}

TEST_F(ImportTest, WhatIsNotKnownOrThereTwiceIsSaid) {
  put("1.txt", kAlign);
  put("2.txt", kAlign);
  put("3.txt", "Dear diary");
  put("4.jsonl", R"({"instruction":"a","output":"b"})");
  put("5.txt", "");
  put("6.md", "not looked at");
  const ImportReport report = import_all();
  ASSERT_EQ(report.files.size(), 5u);
  EXPECT_THAT(report.files[1].left_out, HasSubstr("1.txt already"));
  EXPECT_THAT(report.files[2].left_out, HasSubstr("no form that is known"));
  EXPECT_THAT(report.files[3].left_out, HasSubstr("given to a recipe"));
  EXPECT_THAT(error(), HasSubstr("already exists"));
}

TEST_F(ImportTest, HostileFilesAreErrors) {
  const std::pair<const char*, const char*> cases[] = {
      {"nothing of use", "were found in 1 file"},
      {"{\"instances\": 3", ":1:16: expected JSON"},
      {"{\"instruction\":3,\"instances\":[]}", "row 1"},
      {"{\"instruction\":\" \",\"instances\":[]}", "is empty; fill it in"},
      {"{\"instruction\":\"a\",\"instances\":3}", "a list 'instances'"},
      {"[{\"conversations\":[{\"from\":\"gpt\",\"value\":\"a\"}]}]",
       "of turns"},
      {"[{\"conversations\":[{},{}]}]", "row 1"},
      {"[{\"conversations\":[]}]", "identity"},
      {"[3]", "expected an object"},
      {"{\"question_type\":\"a\",\"topic\":\"b\"}", "with a seed question"},
      {"# O\n\n\xff\xfe\n\n### User", "expected text in UTF-8"}};
  for (const auto& [text, expected] : cases) {
    put("a.txt", text);
    EXPECT_THAT(error(), HasSubstr(expected)) << text;
    EXPECT_FALSE(fs::exists(folder_ + "/out"));
  }
}

// The published files themselves, where they are there to test against.
TEST_F(ImportTest, ThePublishedFilesKeepTheirText) {
  const std::string reference = "../shared/reference/dromedary";
  if (!fs::exists(reference)) GTEST_SKIP() << reference << " is not here";
  const ImportReport report =
      import_prompts({reference}, "prompts", folder_ + "/out");
  EXPECT_EQ(report.written.size(), 8u);
  for (const std::string& note : report.notes) {
    EXPECT_THAT(note, ::testing::Not(HasSubstr("differs")));
  }
  const Prompts prompts = result();
  EXPECT_EQ(
      align_prefix(prompts) + "User:",
      parse::trim(read_file(reference + "/watson_self_align_prompt.txt")));
  EXPECT_EQ(prompts.principles.size(), 16u);
  EXPECT_EQ(prompts.exemplars.size(), 5u);
  EXPECT_EQ(prompts.seed_tasks.size(), 175u);
  EXPECT_EQ(prompts.red_team.types.size(), 20u);
  EXPECT_GT(prompts.identity.size(), 800u);
  for (const auto& [form, file] :
       {std::pair("concise", "concise_prompt_distill"),
        std::pair("standard", "standard_prompt_distill"),
        std::pair("verbose", "verbose_prompt"),
        std::pair("multilingual", "multilingual_prompt")}) {
    EXPECT_EQ(chat_form(prompts, form).prompt + "### User",
              parse::trim(read_file(str(
                  reference, "/inference_prompts/dromedary_", file, ".txt"))));
  }
  EXPECT_EQ(
      prompts.verbose_distill.prompt + "### User",
      parse::trim(read_file(reference + "/verbose_dromedary_prompt.txt")));
  import_prompts({reference + "/watson_self_align_prompt_v2.txt"}, "prompts",
                 folder_ + "/out2");
  EXPECT_EQ(
      align_prefix(result("/out2")) + "User:",
      parse::trim(read_file(reference + "/watson_self_align_prompt_v2.txt")));
}

}  // namespace
}  // namespace selfalign::recipe
