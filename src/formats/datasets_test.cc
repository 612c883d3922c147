// SPDX-License-Identifier: Apache-2.0
#include "formats/datasets.h"

#include <gmock/gmock.h>

#include "base/file.h"
#include "base/json.h"
#include "formats/gguf_builder.h"

namespace selfalign::formats {
namespace {

using testing::HasSubstr;

std::vector<DatasetRow> read(const std::string& text) {
  return read_dataset(test_file("rows.jsonl", text));
}

std::string refusal(const std::string& text) {
  return refusal_of([&] { read(text); });
}

// "role: text" of every turn, or why there is none.
std::string flat(const DatasetRow& row) {
  if (!row.reason.empty()) return row.reason + ": " + row.detail;
  std::string text;
  for (const Turn& turn : row.conversation.turns) {
    text += (turn.learn ? "" : "not ") + turn.role + ": " + turn.text + "|";
  }
  return text;
}

// Of a file of this row alone behind a good one.
std::string read_one(const std::string& row) {
  const auto rows = read(R"({"instruction":"a","output":"b"})"
                         "\n" +
                         row);
  return rows.size() == 2 ? flat(rows[1]) : "not one row";
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

TEST(ReadDataset, ReadsTasksByAnyOfTheirNames) {
  EXPECT_EQ(read_one(R"({"prompt":"Q","completion":"A"})"),
            "user: Q|assistant: A|");
  EXPECT_EQ(read_one(R"({"question":"Q","answer":"A","instruction":null})"),
            "user: Q|assistant: A|");
  EXPECT_EQ(read_one(R"({"system_prompt":"S","question":"Q","response":"A"})"),
            "system: S|user: Q|assistant: A|");
  EXPECT_EQ(read_one(R"({"input":"Q","output":"A"})"), "user: Q|assistant: A|");
  EXPECT_EQ(
      read_one(R"({"instruction":"Q","input":"in","output":"A","context":""})"),
      "user: Q\n\nin|assistant: A|");
  EXPECT_EQ(
      read_one(R"({"instruction":"Q","input":"","output":"A","context":"c"})"),
      "user: Q\n\nc|assistant: A|");
  EXPECT_EQ(read_one(R"({"instruction":"Q","output":null})"),
            "user: Q|assistant: |");
}

TEST(ReadDataset, ReadsExchangesOfXtuner) {
  EXPECT_EQ(read_one(R"({"conversation":[{"system":"S","input":"a",
                 "output":"b"},{"input":"c","output":"d","system":""}]})"),
            "system: S|user: a|assistant: b|user: c|assistant: d|");
  EXPECT_EQ(read_one(R"({"conversation":[{"system":null,"input":"a",
                 "output":"b","output_with_loss":false},
                 {"input":null,"output":"d","output_with_loss":true}]})"),
            "user: a|not assistant: b|user: |assistant: d|");
  EXPECT_EQ(read_one(R"({"conversation":[{"input":"a"}]})"),
            "unreadable: turn 1: expected 'output' beside 'input', found none");
  EXPECT_EQ(read_one(R"({"conversation":[{"input":"a","output":3}]})"),
            "unreadable: turn 1: 'output': expected text, found 3");
  EXPECT_EQ(read_one(R"({"conversation":[{"input":"a","output":"b",
                 "tool_calls":[{"x":1}]}]})")
                .find("unsupported: turn 1: 'tool_calls'"),
            0u);
}

TEST(ReadDataset, ReadsTextsInTurnOfUltraChat) {
  EXPECT_EQ(read_one(R"({"id":"7","data":["a","b","c","d"]})"),
            "user: a|assistant: b|user: c|assistant: d|");
  EXPECT_EQ(read_one(R"({"id":"7","data":["a","b","c"],"system":"S"})"),
            "system: S|user: a|assistant: b|user: c|");
  EXPECT_EQ(
      read_one(R"({"id":"7","data":["a",{"b":1}]})"),
      "unreadable: 'data': expected texts, the user's and the assistant's "
      "in turn, found {\"b\":1}; if these are rows, write each on a line "
      "of its own");
  EXPECT_EQ(read_one(R"({"id":"7","data":"a"})"),
            "unreadable: 'data': expected a list of texts, found \"a\"");
  EXPECT_EQ(read_one(R"({"id":"7","messages":["a","b"]})").find("unreadable"),
            0u);
}

TEST(ReadPrompts, TakesTheFirstOfExchangesAndTexts) {
  const auto rows = read_prompts(
      test_file("rows.jsonl",
                R"({"conversation":[{"system":"S","input":"a"},{"input":"b"}]})"
                "\n"
                R"({"data":["c","d"]})"));
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(flat(rows[0]), "user: a|");
  EXPECT_EQ(flat(rows[1]), "user: c|");
}

// TRL's conversational form: the loss is on the completion.
TEST(ReadDataset, ReadsPromptsAndCompletionsThatAreTurns) {
  EXPECT_EQ(read_one(R"({"prompt":[{"role":"user","content":"a"},
                 {"role":"assistant","content":"b"},
                 {"role":"user","content":"c"}],
                 "completion":[{"role":"assistant","content":"d"}]})"),
            "user: a|not assistant: b|user: c|assistant: d|");
  EXPECT_EQ(read_one(R"({"prompt":[{"role":"user","content":"a"}],
                         "completion":"d"})"),
            "user: a|assistant: d|");
}

TEST(ReadDataset, ASystemAndAHistoryBecomeTurns) {
  EXPECT_EQ(read_one(R"({"instruction":"Q","output":"A","system":"S",
                         "history":[["p","o"],["r","s"]]})"),
            "system: S|user: p|assistant: o|user: r|assistant: s|user: Q|"
            "assistant: A|");
  EXPECT_EQ(read_one(R"({"query":"Q","response":"A","history":[
                         {"role":"user","content":"p"},
                         {"role":"assistant","content":"o"}]})"),
            "user: p|assistant: o|user: Q|assistant: A|");
  const char* turns = R"(,"conversations":[{"from":"system","value":"T"},
                        {"from":"human","value":"h"}]})";
  EXPECT_EQ(read_one(std::string(R"({"system":"T")") + turns),
            "system: T|user: h|");
  EXPECT_EQ(read_one(std::string(R"({"system":" T\n")") + turns),
            "system: T|user: h|");
  EXPECT_EQ(read_one(std::string(R"({"system":"U")") + turns),
            "unsupported: 'system' and turn 1, the system's, say different "
            "things; keep one of the two");
  EXPECT_EQ(read_one(std::string(R"({"system":" \u200b")") + turns),
            "system: T|user: h|");
  EXPECT_EQ(read_one(std::string(R"({"system":null)") + turns),
            "system: T|user: h|");
  for (const char* history : {"\"x\"", "[[\"p\"]]", "[[1,2]]", "{\"a\":1}"}) {
    EXPECT_THAT(read_one(std::string(R"({"prompt":"Q","completion":"A",)"
                                     R"("history":)") +
                         history + "}"),
                HasSubstr("unreadable: 'history'"));
  }
  EXPECT_EQ(read_one(R"({"prompt":"Q","completion":"A","history":[]})"),
            "user: Q|assistant: A|");
}

// Exchanges in a history may have the names of a task.
TEST(ReadDataset, AHistoryStandsBeforeAnyForm) {
  const std::string history = R"({"history":[["p","o"]],)";
  EXPECT_EQ(read_one(history + R"("messages":[
                {"role":"system","content":"S"},{"role":"user","content":"q"},
                {"role":"assistant","content":"a"}]})"),
            "system: S|user: p|assistant: o|user: q|assistant: a|");
  EXPECT_EQ(read_one(history + R"("system":"S","conversations":[
                {"from":"human","value":"q"},{"from":"gpt","value":"a"}]})"),
            "system: S|user: p|assistant: o|user: q|assistant: a|");
  EXPECT_EQ(read_one(history + R"("data":["q","a"]})"),
            "user: p|assistant: o|user: q|assistant: a|");
  EXPECT_EQ(read_one(R"({"instruction":"q","output":"a","history":[
                {"instruction":"p","input":"in","output":"o"}]})"),
            "user: p\n\nin|assistant: o|user: q|assistant: a|");
  EXPECT_THAT(read_one(R"({"prompt":"q","completion":"a","history":[
                {"output":"o"}]})"),
              HasSubstr("unreadable: turn 1 of 'history': expected 'input'"));
}

TEST(ReadDataset, ASystemHasManyNames) {
  for (const char* name : {"system", "system_prompt", "system_message",
                           "developer", "instructions"}) {
    EXPECT_EQ(read_one(dump_json(
                  {{name, "S"}, {"prompt", "q"}, {"completion", "a"}})),
              "system: S|user: q|assistant: a|")
        << name;
    EXPECT_EQ(read_one(dump_json(
                  {{name, " \n\u3000"}, {"prompt", "q"}, {"completion", "a"}})),
              "user: q|assistant: a|")
        << name;
  }
}

// Of two members for one thing neither is dropped without a word.
TEST(ReadDataset, TwoMembersForOneThingMustAgree) {
  const std::pair<const char*, const char*> kRefused[] = {
      {R"({"instruction":"q","question":"r","output":"a"})",
       "'instruction' and 'question'"},
      {R"({"prompt":"q","query":"r","output":"a"})", "'prompt' and 'query'"},
      {R"({"prompt":"q","output":"a","response":"b"})",
       "'output' and 'response'"},
      {R"({"prompt":"q","completion":"a","answer":"b"})",
       "'completion' and 'answer'"},
      {R"({"system":"S","system_prompt":"T","prompt":"q","completion":"a"})",
       "'system' and 'system_prompt'"},
      {R"({"messages":[{"role":"user","content":"q"}],
           "conversations":[{"role":"user","content":"r"}]})",
       "'messages' and 'conversations'"},
      {R"({"messages":[{"role":"user","content":"q"}],"completion":"a"})",
       "'messages' and 'completion'"},
      {R"({"messages":[{"role":"user","content":"q"}],"context":"c"})",
       "'messages' and 'context'"},
      {R"({"data":["q","a"],"output":"b"})", "'data' and 'output'"},
      {R"({"instruction":"q","instances":[{"input":"","output":"a"}],
           "output":"b"})",
       "'instances' and 'output'"},
      {R"({"messages":[{"role":"user","content":"q","value":"r"}]})",
       "turn 1: 'content' and 'value'"}};
  for (const auto& [row, names] : kRefused) {
    EXPECT_THAT(read_one(row), testing::StartsWith("unsupported: ")) << row;
    EXPECT_THAT(read_one(row),
                HasSubstr(std::string(names) + " say different things"))
        << row;
  }
  EXPECT_EQ(read_one(R"({"instruction":"Q","output":"","response":"B"})"),
            "user: Q|assistant: B|");
  EXPECT_EQ(read_one(R"({"instruction":"","prompt":"Q","output":"B",
                         "answer":"B"})"),
            "user: Q|assistant: B|");
  EXPECT_EQ(read_one(R"({"messages":[],"prompt":"Q","completion":"B"})"),
            "user: Q|assistant: B|");
  EXPECT_EQ(read_one(R"({"prompt":"Q ","messages":[
                {"role":"user","content":"Q"},
                {"role":"assistant","content":"B"}],"response":"B",
                "source":"s","id":7,"score":0.5,"text":"Q B","data":{}})"),
            "user: Q|assistant: B|");
}

TEST(ReadDataset, WeightsSayWhatIsLearnt) {
  const auto answer = [](const std::string& members) {
    return read_one(R"({"messages":[{"role":"user","content":"q"},)"
                    R"({"role":"assistant","content":"a",)" +
                    members + "}]}");
  };
  for (const char* members :
       {"\"weight\":0", "\"weight\":0.0", "\"train\":false", "\"loss\":false",
        "\"weight\":false,\"train\":true", "\"loss_mask\":0", "\"learn\":false",
        "\"training\":false"}) {
    EXPECT_EQ(answer(members), "user: q|not assistant: a|") << members;
  }
  for (const char* members : {"\"weight\":1", "\"train\":null,\"loss\":true"}) {
    EXPECT_EQ(answer(members), "user: q|assistant: a|") << members;
  }
  EXPECT_EQ(answer("\"weight\":0.5"),
            "unsupported: turn 2: 'weight': expected 0 or 1, found 0.5");
  EXPECT_THAT(answer("\"train_detail\":[{}]"), HasSubstr("'train_detail'"));
  EXPECT_THAT(answer("\"loss_mask\":[0,1]"),
              HasSubstr("unsupported: turn 2: 'loss_mask': expected 0 or 1"));
  for (const char* mask : {"true", "false", "0", "\"x\""}) {
    EXPECT_THAT(answer(std::string("\"mask\":") + mask),
                HasSubstr("unsupported: turn 2: 'mask' does not say"));
  }
  EXPECT_EQ(read_one(R"({"prompt":"q","completion":"a","mask":"User"})"),
            "user: q|assistant: a|");
  EXPECT_THAT(read_one(R"({"prompt":"q","completion":"a","mask":[1]})"),
              HasSubstr("unsupported: 'mask' does not say"));
  EXPECT_EQ(read_one(R"({"prompt":"q","completion":"a","loss_mask":0})"),
            "user: q|not assistant: a|");
  EXPECT_EQ(read_one(R"({"prompt":"q","completion":"a","weight":0})"),
            "user: q|not assistant: a|");
  EXPECT_EQ(read_one(R"({"prompt":"q","completion":"a","weight":1})"),
            "user: q|assistant: a|");
  EXPECT_THAT(read_one(R"({"prompt":"q","completion":"a","weight":2})"),
              HasSubstr("unsupported: 'weight': expected 0 or 1, found 2"));
  EXPECT_THAT(
      read_one(R"({"messages":[{"role":"user","content":"q","train":true}]})"),
      HasSubstr("unsupported: turn 1: 'train' on a turn of the user"));
}

TEST(ReadDataset, ReadsDialoguesByAnyOfTheirNames) {
  EXPECT_EQ(read_one(R"({"conversation":[{"role":"Human","value":"a"},
                         {"from":"BARD","text":"b"}]})"),
            "user: a|assistant: b|");
  EXPECT_EQ(read_one(R"({"messages":null,"conversations":[
                         {"role":"user","content":"a"}]})"),
            "user: a|");
  EXPECT_EQ(read_one(R"({"messages":[{"role":"developer","content":"s"},
                 {"role":"user","content":[{"type":"text","text":"a"},
                                           {"type":"input_text","text":"b"}]},
                 {"role":"assistant","content":null,"tool_calls":[]}]})"),
            "system: s|user: ab|assistant: |");
  for (const char* name : {"gpt", "gpt-4", "GPT4", "chatgpt", "bing", "bard",
                           "model", "Assistant", " assistant "}) {
    EXPECT_EQ(read_one(dump_json(
                  {{"conversations", {{{"from", name}, {"value", "a"}}}}})),
              "assistant: a|")
        << name;
  }
}

// The row is refused, by name; the file goes on.
TEST(ReadDataset, RefusesByNameWhatCannotBeLearnt) {
  for (const char* name :
       {"tool", "function", "observation", "function_call", "narrator"}) {
    EXPECT_EQ(read_one(dump_json({{"conversations",
                                   {{{"from", "human"}, {"value", "a"}},
                                    {{"from", name}, {"value", "b"}}}}})),
              std::string("unsupported: turn 2: expected turns of the system, "
                          "the user and the assistant, found one of \"") +
                  name + "\"");
  }
  const auto with = [](const char* member) {
    return read_one(std::string(R"({"prompt":"q","completion":"a",)") + member +
                    "}");
  };
  for (const char* name :
       {"images", "image", "videos", "audios", "tools", "functions", "thinking",
        "reasoning", "reasoning_content", "tool_calls", "function_call",
        "prefix", "suffix", "documents", "chat_template", "chosen", "rejected",
        "rejected_response"}) {
    EXPECT_THAT(with(("\"" + std::string(name) + "\":[\"x\"]").c_str()),
                HasSubstr(std::string("unsupported: '") + name + "'"));
    for (const char* none : {"null", "[]", "\"\"", "\"[]\"", "{}", "false"}) {
      EXPECT_EQ(with(("\"" + std::string(name) + "\":" + none).c_str()),
                "user: q|assistant: a|");
    }
  }
  EXPECT_THAT(with(R"("label":false)"), HasSubstr("unsupported: 'label'"));
  EXPECT_EQ(with(R"("label":0)"), "user: q|assistant: a|");
  EXPECT_THAT(read_one(R"({"prompt":"q","chosen":"a","rejected":"b"})"),
              HasSubstr("unsupported: 'chosen': preferences"));
  EXPECT_EQ(with(R"("rejected":false)"), "user: q|assistant: a|");
  for (const char* name :
       {"reasoning", "thinking", "reasoning_content", "refusal", "prefix"}) {
    EXPECT_THAT(
        read_one(dump_json(
            {{"messages",
              {{{"role", "assistant"}, {"content", "a"}, {name, "t"}}}}})),
        HasSubstr(std::string("unsupported: turn 1: '") + name + "'"));
  }
  EXPECT_THAT(read_one(R"({"messages":[{"role":"user","content":
                 [{"type":"image_url","image_url":{}}]}]})"),
              HasSubstr("a part of type \"image_url\""));
  EXPECT_THAT(read_one(R"({"messages":[{"role":"assistant","content":"a",
                           "tool_calls":[{"id":"1"}]}]})"),
              HasSubstr("unsupported: turn 1: 'tool_calls'"));
}

TEST(ReadDataset, NamesWhatCannotBeRead) {
  const std::pair<const char*, const char*> kCases[] = {
      {"3", "expected an object, found 3"},
      {R"({"instruction":"a"})", "expected 'output'"},
      {R"({"instruction":"a","output":4})", "'output': expected text, found 4"},
      {R"({"instruction":"a","output":["b"]})", "expected a turn"},
      {R"({"instruction":["a"],"output":"b"})", "expected a turn with role"},
      {R"({"text":"a","id":1})", "'conversations', found text, id"},
      {"{}", "found none"},
      {R"({"messages":{}})", "'messages': expected a list of turns, found {}"},
      {R"({"messages":[7]})", "turn 1: expected a turn with role"},
      {R"({"messages":[{"content":"a"}]})", "expected 'role'"},
      {R"({"messages":[{"role":"user"}]})", "expected 'content'"},
      {R"({"messages":[{"role":"user","content":5}]})", "found 5"},
      {R"({"messages":[{"role":"user","content":["a"]}]})",
       "'content': expected text, or a list of parts as {\"type\": \"text\", "
       "\"text\": ...}, found a list with \"a\""},
      {R"({"conversations":[{"from":3,"value":"a"}]})",
       "turn 1: 'from': expected text, found 3"},
      {R"({"x":1})",
       "expected a row with 'instruction', 'prompt', 'question', 'query', "
       "'input', 'data', 'dialog', 'dialogue', 'conversation', 'messages' or "
       "'conversations', found x"},
      {R"({"prompt":"a","prompt":"b","completion":"c"})", "found \"prompt\""},
      {R"({"instruction":"a","instances":[]})", "'instances': expected a list"},
      {R"({"instruction":"a","instances":[3]})", "'instances': expected"},
      {R"({"instances":[{"input":"","output":"b"}]})", "expected a row"},
      {R"({"prompt":"a"})", "expected 'output'"},
      {R"({"prompt":"a","completion":"b","score":1e999})", "found 1e999"},
      {"{\"a\": tru}", "expected JSON"}};
  for (const auto& [row, words] : kCases) {
    EXPECT_THAT(read_one(row), testing::StartsWith("unreadable: ")) << row;
    EXPECT_THAT(read_one(row), HasSubstr(words)) << row;
  }
}

TEST(ReadDataset, ReadsAnyLayoutAndMixedForms) {
  const auto rows = read(
      "\xef\xbb\xbf{\n  \"instruction\": \"a\",\n  \"output\": \"b\"\n}\r\n"
      "{\"messages\": "
      "[]}\n{\"prompt\"\n{\"prompt\":\"c\",\"completion\":\"d\"}");
  ASSERT_EQ(rows.size(), 4u);
  EXPECT_EQ(flat(rows[0]), "user: a|assistant: b|");
  EXPECT_THAT(rows[0].where, testing::EndsWith("rows.jsonl: line 1"));
  EXPECT_EQ(flat(rows[1]), "");
  EXPECT_THAT(rows[1].where, testing::EndsWith("rows.jsonl: line 5"));
  EXPECT_THAT(rows[2].where, HasSubstr("rows.jsonl:6:"));
  EXPECT_THAT(flat(rows[2]), HasSubstr("unreadable: expected JSON"));
  EXPECT_EQ(flat(rows[3]), "user: c|assistant: d|");
}

// What is an error of the whole file.
TEST(ReadDataset, RefusesAFileThatIsNone) {
  using std::string_literals::operator""s;
  EXPECT_THAT(refusal(""), HasSubstr("there are no rows"));
  EXPECT_THAT(refusal("[]"), HasSubstr("there are no rows"));
  EXPECT_THAT(refusal("instruction,output\na,b\n"),
              HasSubstr("rows.jsonl:1:1: expected JSON, found a line of fields "
                        "between commas (CSV); convert"));
  EXPECT_THAT(refusal("{\"id\": 1}\n{\"id\": 2}\n"),
              testing::AllOf(HasSubstr("rows.jsonl: line 1: expected a row"),
                             HasSubstr("of 2 rows none can be used")));
  EXPECT_THAT(refusal(R"({"instruction":"a","output":"b"})"
                      "\n\0\n"s),
              HasSubstr("rows.jsonl:2:1: expected JSON, found a NUL byte"));
  EXPECT_THAT(refusal(R"([{"instruction":"a","output":"b"},])"),
              HasSubstr("rows.jsonl:1:35: expected JSON"));
  EXPECT_THAT(refusal("PAR1\x15\0"s), HasSubstr("found Parquet"));
  EXPECT_THAT(refusal("\xff\xfe{\0"s), HasSubstr("found UTF-16"));
}

std::vector<std::string> prompts_in(const std::string& name,
                                    const std::string& text) {
  std::vector<std::string> prompts;
  for (const DatasetRow& row : read_prompts(test_file(name, text))) {
    const auto& turns = row.conversation.turns;
    prompts.push_back(!row.reason.empty() ? row.reason
                      : turns.empty()     ? "none"
                                          : turns.at(0).text);
    EXPECT_LE(turns.size(), 1u);
  }
  return prompts;
}

TEST(ReadPrompts, TakesTheFirstTurnOfTheUser) {
  const auto prompts = [](const std::string& text) {
    return prompts_in("prompts.jsonl", text);
  };
  using List = std::vector<std::string>;
  EXPECT_EQ(prompts(R"({"instruction":"a","input":"b"})"), List{"a\n\nb"});
  EXPECT_EQ(prompts("{\"prompt\":\"a\"}\n{\"prompt\":\"\"}"), (List{"a", ""}));
  EXPECT_EQ(prompts(R"([{"instruction":"a","context":"","response":"r"}])"),
            List{"a"});
  EXPECT_EQ(prompts(R"([{"conversations":[{"from":"system","value":"s"},
                       {"from":"gpt","value":"g"},{"from":"human","value":"h"},
                       {"from":"tool","value":"i"}]},{"conversations":[]}])"),
            (List{"h", "none"}));
  EXPECT_EQ(prompts("{\"prompt\":\"a\"}\n{\"prompt\":3}\n"),
            (List{"a", "unreadable"}));
  EXPECT_EQ(prompts_in("p.txt", "\xef\xbb\xbf a b \r\n\n\t\nc"),
            (List{"a b", "c"}));
  EXPECT_EQ(prompts_in("p.txt", "a\rb c\r\rd\r\ne"),
            (List{"a", "b c", "d", "e"}));
}

TEST(ReadPrompts, RefusesWhatIsNone) {
  const auto error = [](const std::string& name, const std::string& text) {
    return refusal_of([&] { read_prompts(test_file(name, text)); });
  };
  EXPECT_THAT(error("p.txt", " \n\n"), HasSubstr("expected lines of text"));
  EXPECT_THAT(error("p.txt", "a\nb\xff\n"),
              HasSubstr("p.txt:2:2: expected text in UTF-8"));
  EXPECT_THAT(error("p.jsonl", "plain text\n"), HasSubstr("p.jsonl:1:1"));
  EXPECT_THAT(error("p.jsonl", R"({"text":"a"})"), HasSubstr("found text"));
  EXPECT_THAT(error("p.jsonl", R"({"prompt":3})"), HasSubstr("line 1"));
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
    EXPECT_EQ(flat(found[0]), "user: a \"b\"\n\nc \xc3\xa9|assistant: d|");
    EXPECT_EQ(flat(found[1]), "user: e|assistant: |") << name;
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
  EXPECT_THAT(refusal_of([&] {
                write_dataset(testing::TempDir() + "no.jsonl",
                              DatasetForm::kAlpaca, {three});
              }),
              HasSubstr("row 1: expected one user and one assistant turn"));
  EXPECT_THROW(dataset_form("parquet"), Error);
}

}  // namespace
}  // namespace selfalign::formats
