#include "formats/datasets.h"

#include <gmock/gmock.h>

#include "base/file.h"
#include "formats/gguf_builder.h"

namespace selfalign::formats {
namespace {

using testing::HasSubstr;

std::vector<Conversation> read(const std::string& text) {
  return read_dataset(test_file("rows.jsonl", text));
}

std::string refusal(const std::string& text) {
  return error_of([&] { read(text); });
}

// "role: text" of every turn.
std::string flat(const Conversation& conversation) {
  std::string text;
  for (const Turn& turn : conversation.turns) {
    text += turn.role + ": " + turn.text + "|";
  }
  return text;
}

TEST(ReadDataset, ReadsAlpaca) {
  const auto rows = read(
      "\xef\xbb\xbf"
      R"({"instruction":"Add.","input":"1, 2","output":"3","id":7})"
      "\r\n\n"
      R"({"instruction":"Hi","output":""})");
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(flat(rows[0]), "user: Add.\n\n1, 2|assistant: 3|");
  EXPECT_EQ(flat(rows[1]), "user: Hi|assistant: |");
}

TEST(ReadDataset, ReadsDialogues) {
  const auto shared = read(
      R"([{"conversations":[{"from":"system","value":"S"},
           {"from":"human","value":"H"},{"from":"gpt","value":"G"}]},
          {"conversations":[{"from":"user","value":"U"}]}])");
  ASSERT_EQ(shared.size(), 2u);
  EXPECT_EQ(flat(shared[0]), "system: S|user: H|assistant: G|");
  EXPECT_EQ(flat(shared[1]), "user: U|");
  const auto messages = read(R"({"messages":[{"role":"user","content":"a"},)"
                             R"({"role":"assistant","content":"b"}]})"
                             "\n");
  EXPECT_EQ(flat(messages[0]), "user: a|assistant: b|");
}

TEST(ReadDataset, ReadsDolly) {
  const auto rows = read(
      R"({"instruction":"Who?","context":"Ann left.","response":"Ann","category":"closed_qa"})"
      "\n"
      R"({"instruction":"Hi","context":"","response":"Hello"})");
  EXPECT_EQ(flat(rows[0]), "user: Who?\n\nAnn left.|assistant: Ann|");
  EXPECT_EQ(flat(rows[1]), "user: Hi|assistant: Hello|");
}

TEST(ReadDataset, ReadsTheFirstInstanceOfASelfInstructSeed) {
  const auto rows = read(
      R"({"id":"seed_task_1","name":"sum","instruction":"Add.","instances":)"
      R"([{"input":"1, 2","output":"3"},{"input":"2","output":"2"}]})");
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(flat(rows[0]), "user: Add.\n\n1, 2|assistant: 3|");
}

TEST(ReadDataset, ReadsOtherNamesOfShareGpt) {
  const auto rows =
      read(R"({"id":"x_0","conversations":[{"from":"user","value":"a"},)"
           R"({"from":"chatgpt","markdown":"*b*"}]})"
           "\n"
           R"({"id":"x_1","conversations":[]})");
  EXPECT_EQ(flat(rows[0]), "user: a|assistant: *b*|");
  EXPECT_EQ(flat(rows[1]), "");
}

TEST(ReadPrompts, TakesTheFirstTurnOfTheUser) {
  const auto prompts = [](const std::string& text) {
    return read_prompts(test_file("prompts.jsonl", text));
  };
  using List = std::vector<std::string>;
  EXPECT_EQ(prompts(R"({"instruction":"a","input":"b"})"), List{"a\n\nb"});
  EXPECT_EQ(prompts("{\"prompt\":\"a\"}\n{\"prompt\":\"\"}"), (List{"a", ""}));
  EXPECT_EQ(prompts(R"([{"instruction":"a","context":"","response":"r"}])"),
            List{"a"});
  EXPECT_EQ(prompts(R"([{"conversations":[{"from":"system","value":"s"},
                       {"from":"gpt","value":"g"},{"from":"human","value":"h"},
                       {"from":"human","value":"i"}]},{"conversations":[]}])"),
            (List{"h", ""}));
  EXPECT_EQ(read_prompts(test_file("p.txt", "\xef\xbb\xbf a b \r\n\n\t\nc")),
            (List{"a b", "c"}));
}

TEST(ReadPrompts, RefusesWhatIsNone) {
  const auto error = [](const std::string& name, const std::string& text) {
    return error_of([&] { read_prompts(test_file(name, text)); });
  };
  EXPECT_THAT(error("p.txt", " \n\n"), HasSubstr("expected lines of text"));
  EXPECT_THAT(error("p.txt", "a\nb\xff\n"),
              HasSubstr("p.txt:2:2: expected text in UTF-8"));
  EXPECT_THAT(error("p.jsonl", "plain text\n"), HasSubstr("line 1"));
  EXPECT_THAT(error("p.jsonl", R"({"text":"a"})"), HasSubstr("found none"));
  EXPECT_THAT(error("p.jsonl", R"({"prompt":3})"), HasSubstr("line 1"));
}

TEST(ReadDataset, NamesTheLineOfAnError) {
  const std::string good = R"({"instruction":"a","output":"b"})"
                           "\n";
  EXPECT_THAT(refusal(good + "\n{\n"), HasSubstr("rows.jsonl: line 3"));
  EXPECT_THAT(refusal(good + R"({"instruction":"a"})"),
              testing::AllOf(HasSubstr("line 2"), HasSubstr("'output'")));
  EXPECT_THAT(refusal(good + R"({"messages":[]})"),
              HasSubstr("line 2: expected the form of the first row, alpaca, "
                        "found messages"));
  EXPECT_THAT(refusal(R"([{"instruction":"a","output":"b"}, 3])"),
              HasSubstr("row 2: expected an object"));
  EXPECT_THAT(refusal(R"({"text":"a"})"), HasSubstr("found none of them"));
  EXPECT_THAT(refusal(R"({"messages":{}})"), HasSubstr("a list of turns"));
  EXPECT_THAT(refusal(R"({"messages":[7]})"), HasSubstr("line 1"));
  EXPECT_THAT(refusal(R"({"prompt":"a"})"), HasSubstr("found none of them"));
  EXPECT_THAT(refusal(R"({"instruction":"a","instances":[]})"),
              HasSubstr("instances: expected a list"));
  EXPECT_THAT(refusal(R"({"instruction":"a","instances":[3]})"),
              HasSubstr("instances: expected a list"));
  EXPECT_THAT(refusal(R"({"instances":[{"input":"","output":"b"}]})"),
              HasSubstr("'instruction'"));
  EXPECT_THAT(refusal(R"({"instruction":"a","context":"b"})"),
              HasSubstr("'response'"));
  EXPECT_THAT(refusal(R"({"messages":[{"role":"tool","content":""}]})"),
              HasSubstr("found \"tool\""));
  EXPECT_THAT(refusal(R"({"instruction":"","output":"b"})"),
              HasSubstr("instruction: expected text"));
  EXPECT_THAT(refusal(""), HasSubstr("expected rows, found none"));
  EXPECT_THAT(refusal("[]"), HasSubstr("expected rows, found none"));
}

TEST(WriteDataset, IsReadBack) {
  const std::vector<Conversation> rows = {
      {{{"user", "a \"b\"\n\nc \xc3\xa9"}, {"assistant", "d"}}},
      {{{"user", "e"}, {"assistant", ""}}}};
  const std::string path = testing::TempDir() + "formats_written.jsonl";
  for (const char* name : {"alpaca", "sharegpt", "messages"}) {
    write_dataset(path, dataset_form(name), rows);
    const auto found = read_dataset(path);
    ASSERT_EQ(found.size(), 2u) << name;
    EXPECT_EQ(flat(found[0]), flat(rows[0])) << name;
    EXPECT_EQ(flat(found[1]), flat(rows[1])) << name;
  }
  write_dataset(path, DatasetForm::kAlpaca, {rows[1]});
  EXPECT_EQ(read_file(path), R"({"instruction":"e","input":"","output":""})"
                             "\n");
  write_dataset(path, DatasetForm::kShareGpt, {rows[1]});
  EXPECT_EQ(read_file(path),
            R"({"conversations":[{"from":"human","value":"e"},)"
            R"({"from":"gpt","value":""}]})"
            "\n");
}

TEST(WriteDataset, RefusesWhatAFormCannotHold) {
  const Conversation three = {
      {{"system", "s"}, {"user", "u"}, {"assistant", "a"}}};
  EXPECT_THAT(error_of([&] {
                write_dataset(testing::TempDir() + "no.jsonl",
                              DatasetForm::kAlpaca, {three});
              }),
              HasSubstr("row 1: expected one user and one assistant turn"));
  EXPECT_THROW(dataset_form("parquet"), Error);
}

}  // namespace
}  // namespace selfalign::formats
