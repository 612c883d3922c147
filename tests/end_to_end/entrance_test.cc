// SPDX-License-Identifier: Apache-2.0
// What comes in is taken whole or refused with its place, and what can be known
// at the start is said at the start, before anything is made.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <string>
#include <thread>

#include "base/file.h"
#include "base/json.h"
#include "formats/safetensors.h"
#include "formats/tensor_source.h"
#include "program.h"
#include "tiny_model.h"

namespace selfalign {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;
using tests::Outcome;

constexpr char kCompute[] = " --device cpu --dtype float32 ";

class EntranceTest : public testing::Test, public tests::ProgramFolder {
 protected:
  EntranceTest() {
    link_prompts();
    make_tiny_model(path("model"));
  }

  void write(const std::string& name, const std::string& text) const {
    write_file_atomic(path(name), text);
  }
  // A recipe that only asks the base, with `more` behind it.
  std::string recipe(const std::string& more) const {
    return "model: {path: model, device: cpu, dtype: float32, num_slots: 2}\n"
           "prompts_folder: prompts\nstages: []\nnum_held_out: 1\n" +
           more;
  }
  // Runs it in the folder, which must come to `code`, and gives what it said.
  std::string run(const std::string& text, int code) const {
    write("r.yaml", text);
    const Outcome result = bash("selfalign run r.yaml");
    EXPECT_EQ(result.code, code) << text << result.err;
    return result.err;
  }
};

// Case chat_line_over_4095: a terminal keeps 4,095 bytes of a line.
TEST_F(EntranceTest, ALongLineOfAChatIsTakenWhole) {
  std::string question = "Repeat after me: ";
  for (int i = 0; i < 1400; ++i) question += "word ";
  question += "END?";
  tests::Terminal terminal(
      folder(),
      std::string("selfalign --json chat model --max-tokens 1") + kCompute);
  EXPECT_TRUE(terminal.shows("/exit or Ctrl-D ends"));
  terminal.press(question + "\n");
  EXPECT_TRUE(terminal.shows("\"user\":\"" + question + "\",\"answer\""));
  terminal.press("/exit\n");
  EXPECT_EQ(terminal.end(), 0) << terminal.screen();
}

// torch alone takes longer to load than a person to paste; a command line that
// is wrong ends before any line is read.
TEST_F(EntranceTest, ALineTypedWhileTheProgramLoadsIsTakenWhole) {
  {
    tests::Terminal terminal(folder(),
                             "stty -a >before\n"
                             "selfalign chat model --no-such-flag\n"
                             "stty -a >after");
    EXPECT_TRUE(terminal.takes_keys_before("no-such-flag"));
    EXPECT_EQ(terminal.end(), 0) << terminal.screen();
    EXPECT_EQ(read_file(path("after")), read_file(path("before")));
  }
  tests::Terminal terminal(
      folder(),
      std::string("selfalign --json chat model --max-tokens 1") + kCompute);
  EXPECT_TRUE(terminal.takes_keys_before("/exit or Ctrl-D ends"));
  const std::string question(6000, 'x');
  terminal.press(question + "\n");
  EXPECT_TRUE(terminal.shows("\"user\":\"" + question + "\",\"answer\""));
  terminal.press("/exit\n");
  EXPECT_EQ(terminal.end(), 0) << terminal.screen();
}

TEST_F(EntranceTest, ASignalGivesTheTerminalBack) {
  for (const char* signal : {"TERM", "HUP", "QUIT"}) {
    tests::Terminal terminal(
        folder(),
        std::string("stty -a >before\nrm -f pid go\n"
                    "(until [ -s pid ] && [ -e go ]; do sleep 0.02; done\n"
                    "kill -") +
            signal +
            " $(cat pid)) &\n"
            "bash -c 'echo $$ >pid; exec \"$0\" chat model " +
            kCompute + "' '" SELFALIGN_PROGRAM "'\nstty -a >after");
    EXPECT_TRUE(terminal.shows("> ")) << signal;
    write("go", "");
    EXPECT_EQ(terminal.end(), 0) << signal << terminal.screen();
    EXPECT_EQ(read_file(path("after")), read_file(path("before"))) << signal;
  }
}

TEST_F(EntranceTest, ALineThatIsNoTextIsRefusedAsALine) {
  const Outcome refused = bash("printf 'Hi\\0there\\n' | selfalign chat model");
  EXPECT_EQ(refused.code, 3);
  EXPECT_THAT(refused.err,
              HasSubstr("stdin line 1: expected text in UTF-8, found a NUL "
                        "byte at character 3; give the line"));
}

// The same of all commands that read lines.
TEST_F(EntranceTest, ALongLineOnATerminalIsTakenWhole) {
  std::string text;
  for (int i = 0; i < 1400; ++i) text += "word ";
  text += "END";
  const std::string compute = kCompute;
  const std::string key = R"("key":")" + text + "\"}";
  for (const auto& [command, line] :
       {std::array{std::string("tokenize model"), "\"" + text + "\""},
        {"score --model model" + compute,
         R"({"context":"a","continuations":["b"],)" + key},
        {"generate --model model" + compute,
         R"({"prompt":"a","max_tokens":1,)" + key}}) {
    tests::Terminal terminal(folder(), "selfalign " + command + " >out");
    EXPECT_TRUE(terminal.shows("Ctrl-D on an empty line ends")) << command;
    terminal.press(line + "\n\x04");
    EXPECT_EQ(terminal.end(), 0) << terminal.screen();
    EXPECT_THAT(read_file(path("out")), HasSubstr("\"" + text + "\""))
        << command;
  }
}

// What is typed while rows are under way joins them; a line that is not whole
// holds up none.
TEST_F(EntranceTest, LinesTypedWhileOthersAreAnsweredAreTaken) {
  tests::Terminal terminal(
      folder(),
      std::string("selfalign generate --model model") + kCompute + ">out");
  EXPECT_TRUE(terminal.shows("Ctrl-D on an empty line ends"));
  const auto request = [](const std::string& key) {
    return R"({"prompt":"a","max_tokens":40,"key":")" + key + "\"}\n";
  };
  terminal.press(request("one") + request("two") + R"({"pro)");
  const auto num_lines = [this] {
    const std::string out = read_file(path("out"));
    return std::count(out.begin(), out.end(), '\n');
  };
  for (int i = 0; i < 3000 && num_lines() < 2; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_EQ(num_lines(), 2);
  terminal.press(request("three").substr(5) + "\x04");
  EXPECT_EQ(terminal.end(), 0) << terminal.screen();
  EXPECT_EQ(num_lines(), 3);
}

TEST_F(EntranceTest, ALineOfAChatIsEdited) {
  tests::Terminal terminal(
      folder(),
      std::string("selfalign --json chat model --max-tokens 1") + kCompute);
  EXPECT_TRUE(terminal.shows("/exit or Ctrl-D ends"));
  const auto takes = [&terminal](const std::string& keys,
                                 const std::string& line) {
    terminal.press(keys + "\n");
    return terminal.shows("\"user\":\"" + line + "\",\"answer\"");
  };
  EXPECT_TRUE(
      takes("caf\xc3\xa9\x7f\x7f"
            "fe",
            "cafe"));
  EXPECT_TRUE(takes("\xe4\xb8\xad\xe6\x96\x87\x7f!", "\xe4\xb8\xad!"));
  EXPECT_TRUE(takes("one two  \x17three", "one three"));  // Ctrl-W
  EXPECT_TRUE(takes("all gone\x15new", "new"));           // Ctrl-U
  EXPECT_TRUE(takes("a\x1b[D\x1b[1;5C\x1bOHb", "ab"));    // keys that move
  EXPECT_TRUE(
      takes("a\x04"
            "b",
            "ab"));  // Ctrl-D in a line
  terminal.press("Latin\xe9\n");
  EXPECT_TRUE(terminal.shows("expected text in UTF-8"));
  EXPECT_TRUE(takes("two\nlines", "two"));
  EXPECT_TRUE(terminal.shows("\"user\":\"lines\",\"answer\""));
  terminal.press("unfinished\x03");  // Ctrl-C
  EXPECT_EQ(terminal.end(), 0) << terminal.screen();
}

TEST_F(EntranceTest, CtrlDEndsAChatAndTheTerminalIsGivenBack) {
  tests::Terminal terminal(
      folder(), std::string("stty -a >before\nselfalign chat model") +
                    kCompute + "\nstty -a >after");
  EXPECT_TRUE(terminal.shows("> "));
  terminal.press("\x04");
  EXPECT_EQ(terminal.end(), 0) << terminal.screen();
  EXPECT_EQ(read_file(path("after")), read_file(path("before")));
}

TEST_F(EntranceTest, PipedLinesMustBeText) {
  const Outcome result = bash(std::string("selfalign --json chat model "
                                          "--max-tokens 1") +
                                  kCompute,
                              "Hi!\nCaf\xe9?\n");
  EXPECT_EQ(result.code, 3);
  EXPECT_THAT(result.err,
              HasSubstr("stdin line 2: expected text in UTF-8, found the byte "
                        "0xe9 (perhaps Latin-1 or Windows-1252) at character "
                        "4; give the line without it"));
  EXPECT_EQ(result.lines().size(), 1u);
}

// Case recipe_second_document.
TEST_F(EntranceTest, ASecondDocumentOfARecipeIsRefused) {
  EXPECT_THAT(run(recipe("---\nseed: 7\n"), 2),
              HasSubstr("r.yaml:5:1: expected one YAML document"));
  EXPECT_FALSE(fs::exists(path("runs")));
}

// Case prompts_not_utf8.
TEST_F(EntranceTest, PromptsInAnotherEncodingAreRefused) {
  make_folder(path("over"));
  write("over/principles.yaml",
        "principles:\n  - name: caf\xe9\n    text: x\n");
  EXPECT_THAT(run(recipe("prompts_overlay: over\n"), 2),
              HasSubstr("over/principles.yaml:2:14: expected text in UTF-8, "
                        "found the byte 0xe9"));
  EXPECT_FALSE(fs::exists(path("runs")));
  write("TruthfulQA.csv",
        "Type,Category,Question,Best Answer,Correct Answers,Incorrect Answers,"
        "Source\nA,B,What\x92s up?,Sky,Sky,Sea,x\n");
  const Outcome result = bash(std::string("selfalign evaluate --model model "
                                          "--data . --tasks truthfulqa") +
                              kCompute);
  EXPECT_EQ(result.code, 3);
  EXPECT_THAT(result.err, HasSubstr("TruthfulQA.csv:2:9: expected text in "
                                    "UTF-8, found the byte 0x92"));
  EXPECT_FALSE(fs::exists(path("evaluation")));
}

// Case run_folder_tilde.
TEST_F(EntranceTest, TheTildeIsTheHomeFolder) {
  make_folder(path("home"));
  fs::create_directory_symlink(path("model"), path("home/model"));
  write("r.yaml",
        "model: {path: ~/model, device: cpu, dtype: float32}\n"
        "run_folder: ~/runs/x\nprompts_folder: prompts\nstages: []\n"
        "num_held_out: 1\n");
  const Outcome made = bash("export HOME=\"$PWD/home\"\nselfalign run r.yaml");
  EXPECT_EQ(made.code, 0) << made.err;
  EXPECT_TRUE(fs::exists(path("home/runs/x/report.json")));
  EXPECT_FALSE(fs::exists(path("~")));
  // No shell reads what is quoted.
  EXPECT_EQ(bash("export HOME=\"$PWD/home\"\nselfalign status '~/runs/x'").code,
            0);
  EXPECT_EQ(bash("export HOME=\"$PWD/home\"\n"
                 "selfalign tokenize '~/model' <<<'\"a\"'")
                .code,
            0);
  EXPECT_THAT(run(recipe("run_folder: $HOME/x\n"), 2),
              HasSubstr("r.yaml:5:13: run_folder: expected a path, found the "
                        "shell's variable in \"$HOME/x\""));
  for (const char* folder : {"a/$HOME/x", "' runs/x'", "file:///runs/x"}) {
    EXPECT_THAT(run(recipe(std::string("run_folder: ") + folder + "\n"), 2),
                HasSubstr("r.yaml:5:13: run_folder: expected a path, found"))
        << folder;
  }
}

TEST_F(EntranceTest, ARecipeThatSaysNothingIsWrongAtItsFirstLine) {
  EXPECT_THAT(run("", 2), HasSubstr("r.yaml:1:1: model: expected this key"));
  EXPECT_THAT(run(recipe("foo: 1\n"), 2),
              HasSubstr("r.yaml:5:1: foo: unknown key\n"));
}

TEST_F(EntranceTest, WhatCannotBeDoneIsSaidBeforeAnythingIsMade) {
  make_folder(path("empty"));
  const auto without = [this](const std::string& old, const std::string& now) {
    std::string text = recipe("");
    return text.replace(text.find(old), old.size(), now);
  };
  write("d.jsonl", R"({"instruction": "a", "output": "b"})");
  for (const auto& [text, code, said] :
       {std::tuple(without("path: model", "path: none"), 3,
                   "cannot open the model "),
        {without("stages: []",
                 "stages: [tune]\ndata: {path: d.jsonl}\n"
                 "tune: {max_length: 3}"),
         2, "r.yaml:5:20: tune.max_length: expected at least"},
        {without("path: model", "path: empty"), 3, "config.json"},
        {without("path: model", "path: r.yaml"), 3, "r.yaml: model.path: "},
        {without(": prompts\n", ": none\n"), 3,
         "none (prompts_folder): no such folder"},
        {without(": prompts\n", ": empty\n"), 3, "empty/principles.yaml"},
        {recipe("prompts_overlay: none\n"), 3, "(prompts_overlay)"},
        {without("stages: []",
                 "stages: [instruct]\ncontamination: {sets: [none.csv]}"),
         3, "none.csv"},
        {recipe("engrave: {learning_rate: 0}\n"), 2, "r.yaml:5:26: "},
        {recipe("engrave: {learning_rate: 1e-3}\n"), 2,
         "r.yaml:5:26: engrave.learning_rate: without stage engrave"},
        {recipe("run_folder: r.yaml/x\n"), 2, "r.yaml to be no folder"},
        {without("stages: []", "stages: [tune]\ndata: {path: none.jsonl}"), 3,
         "none.jsonl"}}) {
    EXPECT_THAT(run(text, code), HasSubstr(said)) << text;
    EXPECT_FALSE(fs::exists(path("runs"))) << text;
  }
  for (const auto& [line, said] :
       {std::pair("train none.jsonl --model model --output new", "none.jsonl"),
        {"train r.yaml --model none --output new", "cannot open the model "},
        {"evaluate --model none --data prompts --tasks hhh --out new", "task"},
        {"preview r.yaml", "none.jsonl"}}) {
    const Outcome result = bash(std::string("selfalign ") + line);
    EXPECT_EQ(result.code, 3) << line << result.err;
    EXPECT_THAT(result.err, HasSubstr(said)) << line;
    EXPECT_FALSE(fs::exists(path("new"))) << line;
    EXPECT_FALSE(fs::exists(path("runs"))) << line;
  }
}

// A run that could not begin leaves nothing that is in the way of the next.
TEST_F(EntranceTest, AfterAFailedStartTheRightRecipeRuns) {
  std::string wrong = recipe("");
  wrong.replace(wrong.find("path: model"), 11, "path: none ");
  run(wrong, 3);
  run(recipe(""), 0);
  EXPECT_TRUE(fs::exists(path("runs/r/report.json")));
}

TEST_F(EntranceTest, ASettingHasOneRangeAtEveryEntrance) {
  EXPECT_THAT(run(recipe("align: {sampling: {temperature: -1}}\n"), 2),
              HasSubstr("expected a number from 0 to 100, found \"-1\""));
  const Outcome chat =
      bash(std::string("selfalign chat model --temperature=-1") + kCompute);
  EXPECT_EQ(chat.code, 2);
  EXPECT_THAT(chat.err,
              HasSubstr("expected a number from 0 to 100, found \"-1\""));
  const Outcome line =
      bash(std::string("selfalign generate --model model") + kCompute,
           "{\"prompt\": \"a\", \"temperature\": -1}\n");
  EXPECT_EQ(line.code, 3);
  EXPECT_THAT(line.err, HasSubstr("'temperature' to be in [0, 100]"));
  for (const char* rate : {"0", "nan", "inf", "-1e-4"}) {
    const Outcome train =
        bash(std::string("selfalign train d --model model --output new "
                         "--learning-rate=") +
             rate);
    EXPECT_EQ(train.code, 2) << rate;
    EXPECT_THAT(train.err, HasSubstr("expected a number from 1e-12 to 10"));
  }
}

// Case messages_that_mislead, 2.
TEST_F(EntranceTest, ANameThatIsServedTwiceIsRefusedFirst) {
  for (const char* names :
       {"--adapter m=a --adapter m=b", "--adapter model=a"}) {
    const Outcome result =
        bash(std::string("selfalign serve model --port 0 ") + names + kCompute);
    EXPECT_EQ(result.code, 2) << result.err;
    EXPECT_THAT(result.err, HasSubstr("a name of its own for each model"));
    EXPECT_THAT(result.err, Not(HasSubstr("serving")));
    EXPECT_THAT(result.err, Not(HasSubstr("loading")));
  }
}

// Case hf_weights_not_used.
TEST_F(EntranceTest, AModelWithATensorThatIsNotUsedIsRefused) {
  const std::string file = path("model/model.safetensors");
  {
    const auto source = formats::open_safetensors(file);
    std::vector<formats::TensorView> views = source->tensors();
    const std::string bias(32 * 4, '\0');
    views.push_back({"model.layers.0.self_attn.q_proj.bias",
                     formats::ElementType::kF32,
                     {32},
                     bias});
    formats::write_safetensors(file, views, {});
  }
  const Outcome result =
      bash(std::string("selfalign score --model model") + kCompute,
           "{\"context\": \"a\", \"continuations\": [\"b\"]}\n");
  EXPECT_EQ(result.code, 3);
  EXPECT_EQ(result.out, "");
  EXPECT_THAT(result.err, HasSubstr("tensor 'model.layers.0.self_attn.q_proj."
                                    "bias': a model of this"));
}

TEST_F(EntranceTest, AFileWithoutASuffixIsKnownByItsContent) {
  write("noext", "GGUF\3");
  for (const char* line : {"inspect noext", "tokenize noext",
                           "generate --model noext", "chat noext"}) {
    const Outcome result = bash(std::string("selfalign ") + line, "\"a\"\n");
    EXPECT_EQ(result.code, 3) << line;
    EXPECT_THAT(result.err, HasSubstr("error: noext: ")) << line;
    EXPECT_THAT(result.err, Not(HasSubstr("config.json"))) << line;
  }
  write("other", "{}");
  EXPECT_THAT(bash("selfalign generate --model other", "").err,
              HasSubstr("other: this is no model, which is an HF folder or a "
                        "GGUF file: a file of another kind"));
}

TEST_F(EntranceTest, NoEscapesWhereTheyAreNotWanted) {
  for (const char* terminal :
       {"export TERM=dumb", "unset TERM", "export TERM=xterm NO_COLOR=1"}) {
    tests::Terminal screen(
        folder(), std::string(terminal) +
                      "\nfor i in {1..400}; do echo '{\"prompt\":\"'$i'\","
                      "\"max_tokens\":40}'; done | selfalign generate --model "
                      "model" +
                      kCompute + ">out");
    EXPECT_EQ(screen.end(), 0) << screen.screen();
    EXPECT_THAT(screen.screen(), HasSubstr("generate: 400 rows"));
    EXPECT_THAT(screen.screen(), Not(HasSubstr("\033"))) << terminal;
  }
}

}  // namespace
}  // namespace selfalign
