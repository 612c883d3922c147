// SPDX-License-Identifier: Apache-2.0
// `selfalign evaluate` as its users meet it, on a tiny model.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "program.h"
#include "tiny_model.h"

namespace selfalign {
namespace {

using testing::HasSubstr;
using tests::Outcome;

class EvaluateTest : public testing::Test, public tests::ProgramFolder {
 protected:
  EvaluateTest() {
    make_tiny_model(path("model"));
    link_prompts();
  }
  void write_questions(int count) {
    std::string csv =
        "Type,Category,Question,Best Answer,Correct Answers,Incorrect "
        "Answers,Source\n";
    for (int i = 0; i < count; ++i) {
      const std::string n = std::to_string(i);
      csv += "A,Law,Q " + n + "?,yes " + n + ",yes " + n + ";ok " + n + ",no " +
             n + ";nil,x\n";
    }
    make_folder(path("data/truthfulqa"));
    write_file_atomic(path("data/truthfulqa/TruthfulQA.csv"), csv);
  }
  Outcome evaluate(const std::string& more) {
    return bash(
        "selfalign evaluate --model model --data data "
        "--subjects base --max-context 4096 " +
        more);
  }
  Json results(const std::string& out) const {
    return parse_json(read_file(path(out + "/results.json")), out);
  }
  size_t num_lines(const std::string& name) const {
    const std::string text = read_file(path(name));
    return size_t(std::count(text.begin(), text.end(), '\n'));
  }
};

constexpr char kItems[] = "evaluation/items/base/truthfulqa.jsonl";

TEST_F(EvaluateTest, FiguresItemsAndSelfTests) {
  write_questions(12);
  const Outcome first = evaluate("--tasks truthfulqa");
  EXPECT_EQ(first.code, 0) << first.err;
  EXPECT_THAT(first.out, HasSubstr("mc1"));
  EXPECT_THAT(first.out, HasSubstr("18 of 18 self-tests passed"));
  const Json one = results("evaluation")["results"][0];
  EXPECT_EQ(one["metrics"][0]["num_items"], 12);
  EXPECT_EQ(one["items"], "items/base/truthfulqa.jsonl");
  EXPECT_EQ(num_lines(kItems), 12u);
  EXPECT_EQ(one["keys"].size(), 12u);
  // What is there is not asked again, and comes out the same.
  const Outcome second = evaluate("--tasks truthfulqa");
  EXPECT_EQ(second.out, first.out);
  EXPECT_EQ(num_lines(kItems), 12u);
  // As JSON; another task joins the first.
  const Outcome third =
      evaluate("--json --tasks truthfulqa_generation --limit 2");
  EXPECT_EQ(third.code, 0) << third.err;
  ASSERT_EQ(third.lines().size(), 1u);
  EXPECT_EQ(third.lines()[0]["task"], "truthfulqa_generation");
  EXPECT_EQ(third.lines()[0]["settings"]["items"], "2 of 12, seed 0");
  EXPECT_EQ(results("evaluation")["results"].size(), 2u);
}

// Base, short and prompted alike, whatever stage a form is of; the label and
// the settings say it, and the pairs are compared item by item.
TEST_F(EvaluateTest, AllSubjectsAreDecodedAlikeUnlessEachIsToBeByItsOwn) {
  write_questions(3);
  write_file_atomic(path("data.jsonl"),
                    R"({"instruction": "one", "output": "aaaa"})"
                    "\n");
  const Outcome trained =
      bash("selfalign train data.jsonl --model model --output tuning");
  ASSERT_EQ(trained.code, 0) << trained.err;
  const std::string command =
      "selfalign evaluate --model model --data data --max-context 4096 "
      "--tasks truthfulqa_generation "
      "--subjects base,short,prompted,again --form final "
      "--adapter again=tuning/adapter ";
  const auto sampling = [&](const std::string& subject, const char* decoding) {
    const Json all = results("evaluation");
    for (const Json& one : all["results"]) {
      if (one["subject"] != subject ||
          one["settings"]["decoding"] != decoding) {
        continue;
      }
      return one["settings"]["sampling"];
    }
    ADD_FAILURE() << "no " << subject << " under " << decoding;
    return Json();
  };
  const Outcome one = bash(command + "--temperature 0.6");
  ASSERT_EQ(one.code, 0) << one.err;
  EXPECT_THAT(one.out,
              HasSubstr("Decoding of all: temperature 0.6, top-p 0.95, at most "
                        "128 tokens, no penalty\n"));
  EXPECT_THAT(one.out, HasSubstr("After less before on the same items"));
  EXPECT_THAT(one.out, HasSubstr("base      short"));
  EXPECT_THAT(one.out, HasSubstr("prompted  again"));
  for (const char* subject : {"short", "again"}) {
    EXPECT_EQ(sampling(subject, "one"), sampling("base", "one"));
  }
  EXPECT_EQ(sampling("base", "one")["temperature"], 0.6);
  const Outcome own = bash(command + "--decoding own");
  ASSERT_EQ(own.code, 0) << own.err;
  EXPECT_THAT(own.out, HasSubstr("Each under the decoding of its stage"));
  EXPECT_EQ(sampling("again", "own")["repetition_penalty"], 1.0) << "greedy";
  EXPECT_EQ(sampling("again", "own")["top_p"], 0.7);
  EXPECT_EQ(sampling("base", "own")["top_p"], 0.9);
  EXPECT_EQ(results("evaluation")["results"].size(), 8u);
  EXPECT_THAT(read_file(path("evaluation/report.md")),
              HasSubstr("each under its own decoding"));
  const Outcome both = bash(command + "--decoding own --top-p 0.5");
  EXPECT_EQ(both.code, 2);
  EXPECT_THAT(both.err, HasSubstr("--decoding own: expected"));
}

// Whatever task it is of: nobody is asked, and nothing is made, before.
TEST_F(EvaluateTest, DataThatCannotBeUsedIsToldBeforeAnyModelIsAsked) {
  write_questions(3);
  const std::string good_pair =
      R"({"examples":[{"input":"a","target_scores":{"b":1,"c":0}}]})";
  const std::string question = R"({"question_id":1,"turns":["A?","B?"]})";
  const std::map<std::string, std::string> good = {
      {"hhh/harmless/task.json", good_pair},
      {"hhh/helpful/task.json", good_pair},
      {"hhh/honest/task.json", good_pair},
      {"hhh/other/task.json", good_pair},
      {"vicuna_bench/question.jsonl", question},
      {"mt_bench/question.jsonl", question},
      {"mt_bench/reference_answer/gpt.jsonl",
       R"({"question_id":1,"choices":[{"turns":["x","y"]}]})"},
      {"answers.jsonl",
       R"({"question_id":1,"choices":[{"turns":["x","y"]}]})"}};
  const auto put = [this](const std::string& name, const std::string& text) {
    make_folder(std::filesystem::path(path("data/" + name)).parent_path());
    write_file_atomic(path("data/" + name), text);
  };
  for (const auto& [name, text] : good) put(name, text);
  const std::string command =
      "--tasks truthfulqa,hhh,vicuna,mt_bench --answers gpt=data/answers.jsonl "
      "--limit 1";
  for (const auto& [name, text, said] : std::vector<std::array<std::string, 3>>{
           {"hhh/other/task.json", "{\"examples\":[]}", "other/task.json: "},
           {"hhh/other/task.json", "", "other/task.json:1:1: expected JSON"},
           {"hhh/other/task.json", "{\"examples\":[\"caf\xe9\"]}",
            "other/task.json:1:18: expected text in UTF-8"},
           {"hhh/other/task.json",
            R"({"examples":[{"input":"a","target_scores":{"b":0,"c":0}}]})",
            "task.json: example 1: target_scores: expected one answer"},
           {"vicuna_bench/question.jsonl", "\n",
            "vicuna_bench/question.jsonl: this file has no questions"},
           {"vicuna_bench/question.jsonl", R"({"question_id":1})",
            "question.jsonl: line 1: expected a list of texts 'turns'"},
           {"mt_bench/reference_answer/gpt.jsonl", R"({"question_id":1})",
            "reference_answer/gpt.jsonl: line 1: this question has no choices"},
           {"answers.jsonl", R"({"question_id":1,"text":"x"})",
            "answers.jsonl: expected an answer to each turn of some open "
            "question of truthfulqa, hhh, vicuna, mt_bench, found 1 answers"},
           {"answers.jsonl", R"({"question_id":7,"text":"x"})",
            "answers.jsonl: expected an answer to each turn of some open"}}) {
    put(name, text);
    const Outcome result = bash(
        "selfalign evaluate --model model --data data --max-context 4096 " +
        command);
    EXPECT_EQ(result.code, 3) << name << " " << text;
    EXPECT_THAT(result.err, HasSubstr(said)) << name << " " << text;
    EXPECT_FALSE(std::filesystem::exists(path("evaluation"))) << name;
    put(name, good.at(name));
  }
  const Outcome result =
      evaluate("--tasks vicuna --answers gpt=data/answers.jsonl --limit 1");
  EXPECT_EQ(result.code, 0) << result.err;
}

TEST_F(EvaluateTest, PublishedAnswersAreOfTheTasksTheyAnswer) {
  write_file_atomic(path("a.jsonl"), R"({"question_id":1,"turns":["A?"]})");
  write_file_atomic(path("b.jsonl"), R"({"question_id":2,"turns":["B?"]})");
  write_file_atomic(path("gpt.jsonl"), R"({"question_id":2,"text":"x"})");
  const Outcome outcome = bash(
      "selfalign evaluate --answers gpt=gpt.jsonl --questions a.jsonl "
      "--questions b.jsonl");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err,
              HasSubstr("a is left out for gpt: its file answers"));
  const Json all = results("evaluation")["results"];
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0]["task"], "b");
}

// Of the questions that compare log-probabilities; others need none.
TEST_F(EvaluateTest, PromptsAreThoseThatWereNamed) {
  write_questions(2);
  const std::string command =
      "selfalign evaluate --model model --data data --subjects base "
      "--max-context 4096 --tasks truthfulqa --prompts mine";
  ASSERT_EQ(bash("cp -rL prompts mine && rm prompts").code, 0);
  const Outcome named = bash(command);
  EXPECT_EQ(named.code, 0) << named.err;
  write_file_atomic(path("mine/evaluation.yaml"), "true_false: 1\n");
  const Outcome broken = bash(command + " --out other");
  EXPECT_EQ(broken.code, 2) << broken.err;
  EXPECT_THAT(broken.err, HasSubstr("mine/evaluation.yaml:"));
  EXPECT_FALSE(std::filesystem::exists(path("other")));
}

TEST_F(EvaluateTest, NamesAreTestedBeforeAnythingIsMade) {
  make_folder(path("in/deep"));
  write_file_atomic(path("in/deep/q.jsonl"),
                    R"({"question_id":1,"turns":["A?"]})");
  write_file_atomic(path("in/deep/gpt.jsonl"),
                    R"({"question_id":1,"text":"x"})");
  for (const auto& [more, found] : std::map<std::string, std::string>{
           {"--answers ../../x=gpt.jsonl --questions q=q.jsonl",
            "expected a name that a file can have"},
           {"--answers =gpt.jsonl --questions q=q.jsonl", "found ''"},
           {"--answers .x=gpt.jsonl --questions q=q.jsonl", "found '.x'"},
           {"--answers x=gpt.jsonl --answers x=gpt.jsonl --questions q=q.jsonl",
            "expected names that differ, found 'x' twice"},
           {"--answers x=gpt.jsonl --questions q.judge.x=q.jsonl",
            "found 'q.judge.x'"},
           {"--answers x=gpt.jsonl --questions q=q.jsonl --questions q=q.jsonl",
            "expected each task once, found 'q' twice"}}) {
    const Outcome outcome =
        bash("cd in/deep && selfalign evaluate --out out " + more);
    EXPECT_EQ(outcome.code, 2) << more;
    EXPECT_THAT(outcome.err, HasSubstr(found)) << more;
    EXPECT_FALSE(std::filesystem::exists(path("in/deep/out"))) << more;
    EXPECT_FALSE(std::filesystem::exists(path("x"))) << more;
  }
}

TEST_F(EvaluateTest, OptionsWithoutEffectAreRefused) {
  write_file_atomic(path("q.jsonl"), R"({"question_id":1,"turns":["A?"]})");
  write_file_atomic(path("gpt.jsonl"), R"({"question_id":1,"text":"x"})");
  const std::string answers =
      "evaluate --questions q=q.jsonl --answers x=gpt.jsonl ";
  const std::string model = "evaluate --questions q=q.jsonl --model model ";
  const std::string served = model + "--model http://127.0.0.1:9/v1#one ";
  for (const auto& [line, found] : std::vector<std::array<std::string, 2>>{
           {answers + "--adapter mine=none",
            "--adapter mine=none: expected a model"},
           {answers + "--temperature 0.1", "--temperature has no effect"},
           {answers + "--form final", "--form has no effect"},
           {answers + "--api chat", "--api has no effect"},
           {model + "--form final", "--form has no effect"},
           {model + "--price 1,2", "--price has no effect"},
           {model + "--api chat", "--api has no effect"},
           {served + "--price nosuch=1,1", "there are: one"},
           {served + "--price =1,2", "there are: one"},
           {served + "--price one=1,2 --price one=1,3", "found a second one"},
           {"generate --model model --api chat", "--api has no effect"},
           {"generate --model model --price 1,2", "--price has no effect"},
           {"generate --model model --prompts p", "--prompts has no effect"},
           {"score --model http://127.0.0.1:9/v1#a --dtype float32",
            "--dtype has no effect"},
           {"chat model --api chat", "--api has no effect"},
           {"serve model --port 0 --form final", "--form says how adapters"}}) {
    const Outcome outcome = bash("selfalign " + line + " </dev/null");
    EXPECT_EQ(outcome.code, 2) << line << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr(found)) << line;
  }
  EXPECT_FALSE(std::filesystem::exists(path("evaluation")));
}

TEST_F(EvaluateTest, AfterAnInterruptTheSameCommandGoesOn) {
  write_questions(120);
  const Outcome whole = evaluate("--tasks truthfulqa --out whole");
  ASSERT_EQ(whole.code, 0) << whole.err;
  // Not by the shell's function: the signal must reach the program.
  const Outcome cut =
      bash(std::string("'" SELFALIGN_PROGRAM
                       "' evaluate --model model --data data --subjects base "
                       "--max-context 4096 --tasks truthfulqa & program=$!\n"
                       "until [ -s ") +
           kItems +
           " ]; do sleep 0.01; done\n"
           "kill -INT $program\nwait $program");
  EXPECT_EQ(cut.code, 75) << cut.err;
  const size_t num_done = num_lines(kItems);
  EXPECT_LT(num_done, 120u);
  const Outcome resumed = evaluate("--tasks truthfulqa");
  EXPECT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_EQ(resumed.out, whole.out);
  EXPECT_EQ(num_lines(kItems), 120u);
  EXPECT_EQ(results("evaluation"), results("whole"));
}

TEST_F(EvaluateTest, MistakesAreNamed) {
  write_questions(2);
  const Outcome task = evaluate("--tasks arithmetic");
  EXPECT_EQ(task.code, 2);
  EXPECT_THAT(task.err, HasSubstr("expected some of truthfulqa"));
  const Outcome data = evaluate("--tasks hhh");
  EXPECT_EQ(data.code, 3);
  EXPECT_THAT(data.err, HasSubstr("no file harmless/task.json"));
  write_file_atomic(path("data/truthfulqa/TruthfulQA.csv"),
                    "Type,Category,Question,Best Answer,Correct Answers,"
                    "Incorrect Answers,Source\na,b,c\n");
  const Outcome row = evaluate("--tasks truthfulqa");
  EXPECT_EQ(row.code, 3);
  EXPECT_THAT(row.err, HasSubstr("TruthfulQA.csv: row 1: expected 7 fields"));
  const Outcome subject =
      bash("selfalign evaluate --model model --data data --subjects nobody");
  EXPECT_EQ(subject.code, 2);
  EXPECT_THAT(subject.err, HasSubstr("expected some of base, short, prompted"));
}

}  // namespace
}  // namespace selfalign
