// SPDX-License-Identifier: Apache-2.0
// Data sets as people have them, through the program: what `train` takes of a
// file, and that a recipe takes the same.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>

#include "base/file.h"
#include "base/json.h"
#include "program.h"
#include "tiny_model.h"

namespace selfalign {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using std::string_literals::operator""s;
using tests::Outcome;

class DatasetsTest : public testing::Test, public tests::ProgramFolder {
 protected:
  DatasetsTest() {
    make_tiny_model(path("model"));
    link_prompts();
  }

  Outcome train(const std::string& rows) const {
    std::filesystem::remove_all(path("tuned"));
    write_file_atomic(path("rows.jsonl"), rows);
    return bash(
        "selfalign train rows.jsonl --model model --output tuned --json "
        "--prompts prompts --form none --batch-size 2 --device cpu "
        "--dtype float32 --max-length 128");
  }
  // The counts of a recipe's run on the rows that were trained on last.
  std::map<std::string, Json> run_stages() const {
    std::filesystem::remove_all(path("run"));
    write_file_atomic(
        path("r.yaml"),
        "name: t\nrun_folder: run\nprompts_folder: prompts\nstages: [tune]\n"
        "model: {path: model, device: cpu, dtype: float32}\n"
        "data: {path: rows.jsonl}\nnum_held_out: 0\n"
        "tune:\n  <<: {rank: 4, epochs: 1, batch_size: 2}\n"
        "  max_length: 128\n  warmup_steps: 1\n");
    const Outcome run = bash("selfalign run r.yaml");
    EXPECT_EQ(run.code, 0) << run.err;
    const Json report =
        parse_json(read_file(path("run/report.json")), "report");
    std::map<std::string, Json> stages;
    for (const Json& stage : report["stages"]) {
      stages[stage["stage"].get<std::string>()] = stage;
    }
    return stages;
  }
  Json report(const std::string& rows) const {
    const Outcome outcome = train(rows);
    EXPECT_EQ(outcome.code, 0) << rows << outcome.err;
    return outcome.code == 0 ? outcome.lines().at(0) : Json::object();
  }
};

const char kGood[] =
    R"({"conversations": [{"from": "human", "value": "Hi there"}, )"
    R"({"from": "gpt", "value": "Hello"}]})"
    "\n";

TEST_F(DatasetsTest, BadRowsAreCountedAndTheRestIsLearntInARecipeToo) {
  const std::string rows =
      std::string(kGood) +
      "{\"conversations\": []}\n"
      "{\"conversations\": [{\"from\": \"human\", \"value\": \"Hi\"}, "
      "{\"from\": \"function_call\", \"value\": \"{}\"}, "
      "{\"from\": \"observation\", \"value\": \"1\"}, "
      "{\"from\": \"gpt\", \"value\": \"Hello\"}]}\n"
      "{\"conversations\": [{\"from\": \"Human\", \"value\": \"Hi\"}, "
      "{\"from\": \"bing\", \"value\": \"x\"}]}\n"
      "{\"instruction\": \"Q\", \"input\": \"\", \"output\": \"  \"}\n"
      "{\"instruction\": \"Q\", \"output\": \"cut off\n"
      "{\n  \"prompt\": \"Q\",\n  \"completion\": \"A\"\n}\n"
      "{\"conversations\": [{\"from\": \"human\", \"value\": \"a\"}, "
      "{\"from\": \"human\", \"value\": \"b\"}, "
      "{\"from\": \"gpt\", \"value\": \"c\"}]}\n";
  const Json counted = {{"no_answer", 2},
                        {"out_of_turn", 1},
                        {"unreadable", 1},
                        {"unsupported", 1}};
  const Outcome trained = train(rows);
  ASSERT_EQ(trained.code, 0) << trained.err;
  EXPECT_EQ(trained.lines().at(0)["samples"], 3);
  EXPECT_EQ(trained.lines().at(0)["rejected"], counted);
  EXPECT_THAT(trained.err,
              AllOf(HasSubstr("rows.jsonl: 5 of 8 rows are left out"),
                    HasSubstr("rows.jsonl: line 2: no_answer"),
                    HasSubstr("rows.jsonl: line 3: unsupported: turn 2"),
                    HasSubstr("rows.jsonl:6:"), Not(HasSubstr("line 5:"))));
  std::map<std::string, Json> stages = run_stages();
  EXPECT_EQ(stages["given.conversations"]["rejected"], counted);
  EXPECT_EQ(stages["tune.samples"]["kept"], 3);
}

// `train` and a recipe leave out the same rows, and both say which.
TEST_F(DatasetsTest, RowsThatAreTooLongAreCountedInARecipeToo) {
  const std::string rows =
      std::string(kGood) + "{\"prompt\": \"" + std::string(400, 'q') +
      "\", \"completion\": \"A\"}\n{\"prompt\": \"Q\", \"completion\": \"" +
      std::string(400, 'a') + "\"}\n";
  const Json counted = {{"too_long", 1}};
  const Outcome trained = train(rows);
  ASSERT_EQ(trained.code, 0) << trained.err;
  const Json report = trained.lines().at(0);
  EXPECT_EQ(report["samples"], 2);
  EXPECT_EQ(report["rejected"], counted);
  EXPECT_EQ(report["truncated"], 1);
  EXPECT_THAT(
      trained.err,
      AllOf(HasSubstr("rows.jsonl: 1 of 3 rows is left out: 1 too_long"),
            HasSubstr("rows.jsonl: line 2: too_long: expected an "
                      "answer that begins within 128 tokens")));
  std::map<std::string, Json> stages = run_stages();
  EXPECT_EQ(stages["given.conversations"]["rejected"], counted);
  EXPECT_EQ(stages["tune.samples"]["kept"], 2);
  // Played again without the model's tokens.
  const Outcome verified = bash("selfalign verify run");
  EXPECT_EQ(verified.code, 0) << verified.out << verified.err;
}

TEST_F(DatasetsTest, ARowOfAnArrayThatCannotBeReadIsCounted) {
  const Outcome trained = train(
      "[{\"prompt\": \"Q\", \"completion\": \"A\"},\n"
      " {\"prompt\": \"Q\", \"completion\": \"A\", \"score\": 1e999},\n"
      " {\"prompt\": \"Q\", \"prompt\": \"R\", \"completion\": \"A\"}]\n");
  ASSERT_EQ(trained.code, 0) << trained.err;
  EXPECT_EQ(trained.lines().at(0)["samples"], 1);
  EXPECT_EQ(trained.lines().at(0)["rejected"], Json({{"unreadable", 2}}));
  EXPECT_THAT(trained.err,
              HasSubstr("rows.jsonl:2:46: unreadable: expected numbers"));
}

// What shows nothing is no answer, and white space around one is not learnt.
TEST_F(DatasetsTest, WhiteSpaceIsNotLearnt) {
  const Json plain = report(R"({"prompt": "Q", "completion": "A"})");
  const Json spaced = report(R"({"prompt": "Q", "completion": "\n A \n"})");
  EXPECT_EQ(spaced["response_tokens"], plain["response_tokens"]);
  EXPECT_EQ(spaced["loss_before"], plain["loss_before"]);
  const Json blank = {{"no_answer", 3}};
  EXPECT_EQ(report(std::string(kGood) +
                   R"({"prompt": "Q", "completion": "\u200b\u00a0"})"
                   "\n"
                   R"({"prompt": "Q", "completion": "\u0000"})"
                   "\n"
                   R"({"prompt": "\ufeff", "completion": "A"})")["rejected"],
            blank);
  EXPECT_EQ(run_stages()["given.conversations"]["rejected"], blank);
}

TEST_F(DatasetsTest, AMemberThatStandsTwiceInAModelsFileExitsWith3) {
  const std::string file = path("model/config.json");
  std::string content = read_file(file);
  content.insert(content.find('{') + 1, "\"model_type\": \"other\",");
  write_file_atomic(file, content);
  const Outcome outcome = train(kGood);
  EXPECT_EQ(outcome.code, 3);
  EXPECT_THAT(outcome.err, HasSubstr("expected each member of an object once"));
  EXPECT_THAT(outcome.err, HasSubstr("model_type"));
}

TEST_F(DatasetsTest, FormsOfOtherProgramsAreRead) {
  for (
      const char* row :
      {R"({"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}, {"role": "assistant", "content": [{"type": "text", "text": "Hello"}]}]})",
       R"({"messages": [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]})",
       R"({"conversations": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]})",
       R"({"prompt": "Q", "completion": "A"})",
       R"({"instruction": "Q", "input": "in", "output": "A", "context": ""})"}) {
    const Json found = report(std::string(row) + "\n");
    EXPECT_EQ(found["samples"], 1) << row;
    EXPECT_EQ(found["rejected"], Json::object()) << row;
  }
}

// What a row says beside its turns changes what is learnt.
TEST_F(DatasetsTest, SystemHistoryAndWeightsAreUsed) {
  const std::string plain = R"({"instruction": "Q", "output": "A"})";
  const Json loss = report(plain)["loss_before"];
  EXPECT_NE(report(R"({"instruction": "Q", "output": "A",)"
                   R"( "system": "You are a pirate."})")["loss_before"],
            loss);
  const std::string history = R"({"instruction": "Q", "output": "A",)"
                              R"( "history": [["old q", "old a"]]})";
  EXPECT_EQ(report(history)["response_tokens"], 8);  // "old a", "A", two ends
  EXPECT_EQ(report(plain)["response_tokens"], 2);
  EXPECT_EQ(
      report(R"({"messages": [{"role": "user", "content": "old q"},)"
             R"({"role": "assistant", "content": "old a", "weight": 0},)"
             R"({"role": "user", "content": "Q"},)"
             R"({"role": "assistant", "content": "A"}]})")["response_tokens"],
      2);
}

TEST_F(DatasetsTest, FilesOfNoUseExitWith3AndSayWhere) {
  const std::pair<std::string, const char*> kCases[] = {
      {R"({"instruction": "a", "output": "b"})"
       "\0"
       R"({"instruction": "a", "output": "b"})"
       "\n"s,
       "rows.jsonl:1:36: expected JSON, found a NUL byte"},
      {R"([{"instruction": "a", "output": "b"}])"
       "\0[]"s,
       "rows.jsonl:1:38: expected JSON, found a NUL byte"},
      {R"({"instruction":"hi","output":"x","score":1e999})",
       "rows.jsonl:1:42: expected numbers within 1.8e308, found 1e999"},
      {"plain text\n", "rows.jsonl:1:1: expected JSON"},
      {"{\"conversations\": []}\n", "1 of 1 row is left out: 1 no_answer"},
      {"{\"instruction\": \"caf\xe9\", \"output\": \"b\"}\n",
       "rows.jsonl:1:21: expected text in UTF-8, found the byte 0xe9"},
      {"instruction,output\na,b\n",
       "rows.jsonl:1:1: expected JSON, found a line of fields between commas"},
      {"{\"data\": [{\"instruction\": \"a\", \"output\": \"b\"}]}\n",
       "if these are rows, write each on a line of its own"},
      {"version https://git-lfs.github.com/spec/v1\noid sha256:aa\nsize 1\n",
       "git-lfs pointer"}};
  for (const auto& [rows, words] : kCases) {
    const Outcome outcome = train(rows);
    EXPECT_EQ(outcome.code, 3) << rows;
    EXPECT_THAT(outcome.err, HasSubstr(words));
    EXPECT_THAT(outcome.err, Not(HasSubstr("json.exception"))) << rows;
  }
}

TEST_F(DatasetsTest, LinesAndModelFilesWithNulBytesExitWith3) {
  const Outcome lines =
      bash("selfalign tokenize model", "\"a\"\0\"b\"\n\"c\"\n"s);
  EXPECT_EQ(lines.code, 3);
  EXPECT_THAT(lines.err,
              HasSubstr("stdin line 1, column 4: expected JSON, found a NUL"));
  for (const char* name : {"config.json", "tokenizer.json"}) {
    const std::string file = path(std::string("model/") + name);
    const std::string content = read_file(file);
    write_file_atomic(file, content + "\0{}"s);
    const Outcome outcome = bash("selfalign tokenize model", "\"a\"\n");
    EXPECT_EQ(outcome.code, 3) << name;
    EXPECT_THAT(outcome.err, HasSubstr("found a NUL byte")) << name;
    write_file_atomic(file, content);
  }
  write_file_atomic(path("model/tokenizer.json"),
                    "version https://git-lfs.github.com/spec/v1\n"
                    "oid sha256:aa\nsize 123\n");
  const Outcome pointer = bash("selfalign tokenize model", "\"a\"\n");
  EXPECT_EQ(pointer.code, 3);
  EXPECT_THAT(pointer.err,
              AllOf(HasSubstr("tokenizer.json: a git-lfs pointer stands"),
                    HasSubstr("git lfs pull")));
}

}  // namespace
}  // namespace selfalign
