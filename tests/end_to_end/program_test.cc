// SPDX-License-Identifier: Apache-2.0
// The program as its users meet it: what it prints where, and its exit codes.
#include "program.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "tiny_model.h"

namespace selfalign {
namespace {

using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

using tests::Outcome;

class ProgramTest : public testing::Test, public tests::ProgramFolder {
 protected:
  std::string model() {
    make_tiny_model(path("model"));
    return path("model") + " --device cpu --dtype float32";
  }
};

TEST_F(ProgramTest, HelpAndVersion) {
  const Outcome help = bash("selfalign --help");
  EXPECT_EQ(help.code, 0);
  for (const char* name :
       {"run", "resume", "status", "verify", "show", "principles", "report",
        "ablate", "export", "chat", "generate", "score", "train", "tokenize",
        "inspect", "annotations"}) {
    EXPECT_THAT(help.out, HasSubstr(std::string("\n  ") + name));
    const Outcome one = bash(std::string("selfalign ") + name + " --help");
    EXPECT_EQ(one.code, 0);
    EXPECT_THAT(one.out, HasSubstr(std::string("selfalign ") + name));
  }
  EXPECT_EQ(bash("selfalign help").out, help.out);
  EXPECT_EQ(bash("selfalign help chat").out, bash("selfalign chat --help").out);
  for (const char* line : {"selfalign --version", "selfalign version"}) {
    EXPECT_THAT(bash(line).out,
                ::testing::MatchesRegex("selfalign 0\\.[0-9.]+( \\([0-9a-f]+"
                                        "\\))?, torch [0-9.]+\n"));
  }
}

TEST_F(ProgramTest, WrongCommandLinesExitWith2) {
  for (const char* line :
       {"selfalign", "selfalign dance", "selfalign status",
        "selfalign tokenize a b", "selfalign generate --model m --slots 0",
        "selfalign chat m --frequency 3"}) {
    const Outcome result = bash(line);
    EXPECT_EQ(result.code, 2) << line;
    EXPECT_EQ(result.out, "") << line;
    EXPECT_NE(result.err, "") << line;
  }
  EXPECT_THAT(bash("selfalign staus run").err,
              HasSubstr("error: selfalign: no command is named staus; did you "
                        "mean status? \"selfalign --help\" lists all"));
  for (const char* line : {"selfalign --json staus", "selfalign --json status",
                           "selfalign --json chat m --frequency 3"}) {
    EXPECT_EQ(parse_json(bash(line).err, line).at("level"), "error") << line;
  }
}

TEST_F(ProgramTest, AWrongRecipeExitsWith2AndSaysWhere) {
  write_file_atomic(path("bad.yaml"), "name: x\nmodle:\n  path: y\n");
  const Outcome result = bash("selfalign run " + path("bad.yaml"));
  EXPECT_EQ(result.code, 2);
  EXPECT_THAT(result.err, HasSubstr("bad.yaml:2:1: "));
  EXPECT_THAT(result.err, HasSubstr("did you mean"));
}

TEST_F(ProgramTest, BadInputFilesExitWith3) {
  write_file_atomic(path("cut.gguf"), std::string("GGUF\3\0\0\0\1", 9));
  for (const std::string& line :
       {"selfalign inspect " + path("cut.gguf"),
        "selfalign tokenize " + path("cut.gguf"),
        "selfalign generate --model " + path("cut.gguf"),
        "selfalign generate --model " + path("absent"),
        "selfalign status " + path("absent"),
        "selfalign verify " + path("absent"),
        "selfalign resume " + path("absent")}) {
    const Outcome result = bash(line, "\"a\"\n");
    EXPECT_EQ(result.code, 3) << line << result.err;
    EXPECT_EQ(result.out, "") << line;
    EXPECT_THAT(result.err, HasSubstr(folder())) << line;
  }
}

// A folder from elsewhere with a pipe in place of a file: nobody writes to it,
// and nobody waits.
TEST_F(ProgramTest, PipesInAModelFolderExitWith3) {
  const std::string row = "{\"prompt\": \"a\"}\n";
  const std::string command = "timeout 60 '" SELFALIGN_PROGRAM
                              "' generate --max-context 64 --model " +
                              model();
  for (const std::string name :
       {"config.json", "model.safetensors", "tokenizer.json"}) {
    const std::string file = path("model/" + name);
    const Outcome result =
        bash("mv '" + file + "' kept && mkfifo '" + file + "' && " + command +
                 "; code=$?; mv kept '" + file + "'; exit $code",
             row);
    EXPECT_EQ(result.code, 3) << name << result.err;
    EXPECT_THAT(result.err, HasSubstr(file + ": this is a pipe"));
  }
  EXPECT_EQ(bash(command, row).code, 0);
  make_folder(path("adapter"));
  const Outcome adapter =
      bash("mkfifo adapter/adapter_config.json && " + command +
               " --form none --adapter " + path("adapter"),
           row);
  EXPECT_EQ(adapter.code, 3) << adapter.err;
  EXPECT_THAT(adapter.err, HasSubstr("this is a pipe"));
}

TEST_F(ProgramTest, TokenizeGivesIdsAndTextBack) {
  model();
  const Outcome result = bash("selfalign tokenize " + path("model"),
                              "\"ab\"\n\"\"\n\n\"\\u00e9<|endoftext|>\"\n");
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(result.out,
            "{\"ids\":[97,98],\"decoded\":\"ab\"}\n"
            "{\"ids\":[],\"decoded\":\"\"}\n"
            "{\"ids\":[195,169,256],\"decoded\":\"é<|endoftext|>\"}\n");
  const Outcome bad = bash("selfalign tokenize " + path("model"), "\"a\"\n7\n");
  EXPECT_EQ(bad.code, 3);
  EXPECT_THAT(bad.err, HasSubstr("stdin line 2"));
}

// Two threads' steps, each with its parts, which are not longer than it.
void expect_profile(const Json& events) {
  std::set<int64_t> threads;
  std::set<std::string> parts;
  double step_us = 0;
  double parts_us = 0;
  for (const Json& event : events) {
    const std::string name = event.at("name");
    if (name == "step") {
      threads.insert(event.at("tid").get<int64_t>());
      step_us += event.at("dur").get<double>();
    } else if (event.contains("dur") && !name.ends_with(" weights")) {
      parts.insert(name);
      parts_us += event.at("dur").get<double>();
    }
  }
  EXPECT_EQ(threads.size(), 2);
  EXPECT_THAT(parts,
              UnorderedElementsAre("caller", "tokenize", "products",
                                   "keys and values", "suffix", "sampling"));
  EXPECT_GT(parts_us, 0);
  EXPECT_LE(parts_us, step_us);
}

TEST_F(ProgramTest, GenerateAnswersInOrderAndRepeatably) {
  const std::string command =
      "selfalign generate --slots 3 --max-context 256 --model " + model();
  std::string input;
  for (int i = 0; i < 9; ++i) {
    input += dump_json({{"prompt", "row " + std::to_string(i)},
                        {"key", "k" + std::to_string(i)},
                        {"max_tokens", 3 + (7 * i) % 11},
                        {"logprobs", i == 0}}) +
             "\n";
  }
  const Outcome result = bash(command, input);
  ASSERT_EQ(result.code, 0) << result.err;
  const std::vector<Json> lines = result.lines();
  ASSERT_EQ(lines.size(), 9u);
  for (int i = 0; i < 9; ++i) {
    EXPECT_EQ(lines[i]["key"], "k" + std::to_string(i));
    EXPECT_LE(lines[i]["num_tokens"], 3 + (7 * i) % 11);
    EXPECT_EQ(lines[i].contains("token_logprobs"), i == 0);
  }
  // One row alone, in another place: the same text.
  const Outcome alone = bash(
      command + " <<<'" +
      dump_json(
          {{"prompt", "row 5"}, {"key", "k5"}, {"max_tokens", 3 + 35 % 11}}) +
      "'");
  ASSERT_EQ(alone.code, 0) << alone.err;
  EXPECT_EQ(alone.lines().at(0), lines[5]);
  // Several engines, and a profile: the same.
  const Outcome more =
      bash(command + " --engines 2 --profile " + path("profile.json"), input);
  ASSERT_EQ(more.code, 0) << more.err;
  EXPECT_EQ(more.out, result.out);
  expect_profile(parse_json(read_file(path("profile.json")), "profile.json"));
}

TEST_F(ProgramTest, ABadLineIsNamedAfterTheRowsBeforeIt) {
  for (const std::string name : {"generate", "score"}) {
    const std::string good = name == "score"
                                 ? R"({"context": "a", "continuations": ["b"]})"
                                 : R"({"prompt": "a", "max_tokens": 2})";
    const Outcome result = bash(
        "selfalign " + name + " --slots 2 --max-context 64 --model " + model(),
        good + "\n{\"prompt\": \n" + good + "\n");
    EXPECT_EQ(result.code, 3);
    EXPECT_EQ(result.lines().size(), 1u) << name;
    EXPECT_THAT(result.err, HasSubstr("stdin line 2"));
  }
}

TEST_F(ProgramTest, ScoreGivesALogprobPerToken) {
  const Outcome result =
      bash("selfalign score --slots 2 --max-context 64 --model " + model(),
           R"({"context": "ab", "continuations": ["cd", "e"], "key": 4})"
           "\n");
  ASSERT_EQ(result.code, 0) << result.err;
  const Json line = result.lines().at(0);
  EXPECT_EQ(line["key"], 4);
  EXPECT_EQ(line["continuations"][0]["tokens"], Json({'c', 'd'}));
  EXPECT_EQ(line["continuations"][0]["logprobs"].size(), 2u);
  EXPECT_LT(line["continuations"][1]["sum"], 0.0);
}

TEST_F(ProgramTest, ATrainedAdapterIsUsedInChat) {
  const std::string named = model();
  std::string rows;
  for (const char* word : {"one", "two", "three", "four"}) {
    rows += dump_json({{"instruction", word}, {"output", "aaaa"}}) + "\n";
  }
  write_file_atomic(path("data.jsonl"), rows);
  const std::string train =
      "selfalign train " + path("data.jsonl") + " --model " + named +
      " --output " + path("tuned") +
      " --epochs 20 --batch-size 4 --warmup-steps 2 --learning-rate 0.02 "
      "--form none --json";
  const Outcome trained = bash(train);
  ASSERT_EQ(trained.code, 0) << trained.err;
  const Json report = trained.lines().at(0);
  EXPECT_EQ(report["samples"], 4);
  EXPECT_EQ(report["steps"], 20);
  EXPECT_LT(report["loss_after"], report["loss_before"]);
  const Outcome chat =
      bash("selfalign chat " + named + " --adapter " + path("tuned/adapter") +
               " --compare --json --max-tokens 4 --max-context 2000",
           "hello\n/clear\n/help\nagain\n/quit\nnever\n");
  ASSERT_EQ(chat.code, 0) << chat.err;
  EXPECT_THAT(chat.err, HasSubstr("/clear starts anew"));
  const std::vector<Json> lines = chat.lines();
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_EQ(lines[0]["model"], "base");
  EXPECT_EQ(lines[1]["model"], "none");
  EXPECT_EQ(lines[3]["user"], "again");
  const Outcome plain =
      bash("selfalign chat " + named + " --adapter " + path("tuned/adapter") +
               " --max-tokens 4 --max-context 2000",
           "hello\n");
  EXPECT_EQ(plain.out, lines[1]["answer"].get<std::string>() + "\n\n");
  const Outcome again = bash(train);
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(again.lines().at(0)["digest"], report["digest"]);
}

// All weights: what lies where the result would go, and is not this training's,
// stays as it is; a result that is gone is made again.
TEST_F(ProgramTest, ATrainingOfAllWeightsTakesNothingAway) {
  model();
  const std::string named = path("model"), flags = " --dtype float32";
  write_file_atomic(path("data.jsonl"),
                    R"({"instruction": "one", "output": "aaaa"})"
                    "\n"
                    R"({"instruction": "two", "output": "bbbb"})"
                    "\n");
  const auto train = [&](const std::string& base, const std::string& output) {
    return bash("selfalign train " + path("data.jsonl") + " --model " + base +
                flags + " --output " + output +
                " --method full --epochs 2 --batch-size 2 --warmup-steps 1 "
                "--learning-rate 1e-3 --form none --json");
  };
  // The base itself, by name and by a link; a folder and a file of others.
  ASSERT_EQ(
      bash("mkdir -p a b/model c d e/model.new.partial && cp -r " + named +
           " a/model && touch b/model/notes c/model "
           "e/model.new.partial/notes && ln -s " +
           named + " d/model")
          .code,
      0);
  for (const auto& [base, output] :
       {std::pair<std::string, std::string>{"a/model", "a"},
        {named, "b"},
        {named, "c"},
        {named, "d"},
        {named, "e"}}) {
    EXPECT_EQ(train(base, output).code, output == "d" || output == "c" ? 5 : 2)
        << output;
  }
  EXPECT_TRUE(is_file(path("a/model/model.safetensors")));
  EXPECT_TRUE(is_file(path("b/model/notes")));
  EXPECT_TRUE(is_file(path("c/model")));
  EXPECT_TRUE(is_file(path("d/model/model.safetensors")));
  EXPECT_TRUE(is_file(path("e/model.new.partial/notes")));
  const Outcome first = train(named, "good/");
  ASSERT_EQ(first.code, 0) << first.err;
  EXPECT_EQ(first.lines().at(0)["model"], "good/model");
  const std::string weights = read_file(path("good/model/model.safetensors"));
  for (const char* loss :
       {"rm -r good/model", "rm good/model/model.safetensors",
        "mv good/model good/model.new",
        "truncate -s 99 good/model/config.json"}) {
    ASSERT_EQ(bash(loss).code, 0);
    const Outcome again = train(named, "good");
    EXPECT_EQ(again.code, 0) << loss << again.err;
    EXPECT_EQ(read_file(path("good/model/model.safetensors")), weights) << loss;
    EXPECT_FALSE(is_file(path("good/model.new/config.json")));
  }
  const Outcome refused =
      bash("selfalign train data.jsonl --model " + named +
           " --output x --method full --rank 4 --form none");
  EXPECT_EQ(refused.code, 2);
  EXPECT_THAT(refused.err, HasSubstr("--rank has no effect"));
  // By itself it goes on as it was taught, in every form.
  for (const char* form : {"merged", "gguf"}) {
    const Outcome made = bash(str("selfalign export good/model --model ", form,
                                  " --output out-", form));
    ASSERT_EQ(made.code, 0) << made.err;
    EXPECT_THAT(read_file(path(str("out-", form, "/Modelfile"))),
                HasSubstr("TEMPLATE"));
    EXPECT_THAT(read_file(path(str("out-", form, "/README.md"))),
                HasSubstr("base_model_relation: finetune"));
  }
  const std::string config = path("out-merged/generation_config.json");
  EXPECT_EQ(parse_json(read_file(config), config)["eos_token_id"][0], 256);
}

TEST_F(ProgramTest, InspectShowsFoldersAndAdapters) {
  model();
  const Outcome result = bash("selfalign inspect --json " + path("model"));
  ASSERT_EQ(result.code, 0) << result.err;
  const Json report = result.lines().at(0);
  EXPECT_EQ(report["kind"], "HF folder");
  EXPECT_EQ(report["config"]["num_layers"], 2);
  EXPECT_EQ(report["tokenizer"]["size"], 257);
  EXPECT_EQ(report["tokenizer"]["eos"]["text"], "<|endoftext|>");
  EXPECT_EQ(report["totals"]["tensors"], report["tensors"].size());
  const Outcome text = bash("selfalign inspect --no-tensors " + path("model"));
  EXPECT_THAT(text.out, HasSubstr("hidden_size: 32"));
  EXPECT_EQ(text.out.find("q_proj"), std::string::npos);
  EXPECT_THAT(text.out, HasSubstr("weights: every tensor has its place"));
  const std::string file = path("model/config.json");
  Json config = parse_json(read_file(file), file);
  config["num_hidden_layers"] = 1;
  write_file_atomic(file, dump_json(config));
  const Outcome odd = bash("selfalign inspect --no-tensors " + path("model"));
  EXPECT_THAT(odd.out, HasSubstr("'model.layers.1."));
  EXPECT_THAT(odd.out, HasSubstr("has no place for it"));
}

TEST_F(ProgramTest, AnnotationsCheckEveryPromptFile) {
  link_prompts();
  ASSERT_EQ(bash("cp -rL prompts mine").code, 0);
  EXPECT_EQ(bash("selfalign annotations mine").code, 0);
  for (const std::string file :
       {"judge.yaml", "evaluation.yaml", "truthfulqa_preset.yaml"}) {
    const std::string whole = read_file(path("mine/" + file));
    write_file_atomic(path("mine/" + file), "other: 1\n");
    const Outcome broken = bash("selfalign annotations mine");
    EXPECT_EQ(broken.code, 2) << file << broken.err;
    EXPECT_THAT(broken.err, HasSubstr("mine/" + file + ":"));
    write_file_atomic(path("mine/" + file), whole);
  }
}

TEST_F(ProgramTest, AReaderThatLeavesEndsItQuietly) {
  model();
  std::string input;
  for (int i = 0; i < 20000; ++i) input += "\"some text to tokenize\"\n";
  const Outcome result =
      bash("selfalign tokenize " + path("model") + " | head -n 1", input);
  EXPECT_EQ(result.code, 0);
  EXPECT_EQ(result.err, "");
  EXPECT_EQ(result.lines().size(), 1u);
}

TEST_F(ProgramTest, AFullDiskExitsWith4) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "no /dev/full";
  model();
  const Outcome result =
      bash("selfalign tokenize " + path("model") + " >/dev/full", "\"a\"\n");
  EXPECT_EQ(result.code, 4);
  EXPECT_THAT(result.err, HasSubstr("stdout"));
}

// ulimit -f, in KiB: of what is written to stdout, and of an adapter.
TEST_F(ProgramTest, AFileOverTheLimitExitsWith4) {
  const std::string named = model();
  std::string input;
  for (int i = 0; i < 200; ++i) input += "\"some text to tokenize\"\n";
  const Outcome out = bash("ulimit -f 4; selfalign tokenize " + path("model") +
                               " >" + path("out.jsonl"),
                           input);
  EXPECT_EQ(out.code, 4) << out.err;
  EXPECT_THAT(out.err, HasSubstr("File too large; free some space"));
  write_file_atomic(path("data.jsonl"),
                    R"({"instruction": "one", "output": "a"})");
  const Outcome train =
      bash("ulimit -f 4; selfalign train " + path("data.jsonl") + " --model " +
           named + " --output " + path("tuned") + " --form none --quiet");
  EXPECT_EQ(train.code, 4) << train.err;
  EXPECT_THAT(train.err, HasSubstr("File too large; free some space"));
}

TEST_F(ProgramTest, AnInterruptExitsWith75) {
  const std::string named = model();
  for (const std::string signal : {"INT", "HUP"}) {
    const Outcome result = bash(
        "rm -f input; mkfifo input\nsleep 60 >input & holder=$!\n"
        "'" SELFALIGN_PROGRAM "' generate --max-context 64 --model " +
        named + " <input & program=$!\nuntil grep -q loading " +
        path("stderr") + "; do sleep 0.05; done\nkill -" + signal +
        " $program\nwait $program; code=$?\n"
        "kill $holder\nexit $code");
    EXPECT_EQ(result.code, 75) << signal << result.err;
    EXPECT_THAT(result.err, HasSubstr("interrupted"));
  }
}

}  // namespace
}  // namespace selfalign
