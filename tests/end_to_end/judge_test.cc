// SPDX-License-Identifier: Apache-2.0
// `selfalign judge` as its users meet it: a tiny model as a judge, and a person
// on a terminal.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "eval/item_log.h"
#include "eval/results.h"
#include "program.h"
#include "tiny_model.h"

namespace selfalign {
namespace {

using testing::HasSubstr;
using testing::Not;
using tests::Outcome;

class JudgeProgramTest : public testing::Test, public tests::ProgramFolder {
 protected:
  JudgeProgramTest() {
    make_tiny_model(path("model"));
    link_prompts();
    eval::Results results;
    for (const char* name : {"first_subject", "second_subject"}) {
      eval::SubjectInfo subject;
      subject.name = name;
      subject.title = name;
      results.subjects.push_back(subject);
      eval::ItemLog log(path("out/items/") + name + "/vicuna.jsonl");
      for (int i = 0; i < 2; ++i) {
        const std::string n = std::to_string(i);
        log.add(uint64_t(i), Json{{"id", n},
                                  {"group", "writing"},
                                  {"question", "Question " + n},
                                  {"answer", std::string("by ") + name[0]},
                                  {"tokens", 2},
                                  {"finish", "stop"}});
      }
      log.add(9, Json{{"id", "0"},
                      {"question", "Question 0"},
                      {"answer", "of another setting"}});
      eval::TaskResult result;
      result.task = "vicuna";
      result.subject = name;
      result.items = str("items/", name, "/vicuna.jsonl");
      result.keys = {0, 1};
      results.results.push_back(result);
    }
    eval::ResultsWriter(path("out")).merge(results);
  }
  Outcome judge(const std::string& more) {
    return bash("selfalign judge out --max-context 4096 " + more);
  }
  Json comparisons() const {
    return parse_json(read_file(path("out/results.json")),
                      "out")["comparisons"];
  }
};

TEST_F(JudgeProgramTest, AModelComparesInBothOrdersAndIsAskedOnce) {
  const std::string line =
      "--judge model --name tiny --kinds pairs,single --max-tokens 8";
  const Outcome first = judge(line);
  ASSERT_EQ(first.code, 0) << first.err;
  ASSERT_EQ(comparisons().size(), 1u);
  const Json one = comparisons()[0];
  EXPECT_EQ(one["judge"], "tiny");
  EXPECT_EQ(one["num_items"], 2);
  EXPECT_EQ(one["settings"]["layout"], "plain");  // it knows no chat's marks
  // A model of random weights gives no verdict that could be read, which is
  // counted and not dropped.
  EXPECT_EQ(one["failures"], 2);
  EXPECT_TRUE(one["win_rate"].is_null());
  EXPECT_THAT(first.out, HasSubstr("second_subject: no verdict; of 2 items"));
  EXPECT_THAT(first.out, HasSubstr("first_subject: no verdict\n"));
  EXPECT_THAT(first.err,
              HasSubstr("2 of 2 without a verdict that can be read"));
  const std::string log = read_file(path("out/judgements/tiny.jsonl"));
  const Outcome second = judge(line);
  EXPECT_EQ(second.code, 0) << second.err;
  EXPECT_EQ(second.out, first.out);
  EXPECT_EQ(read_file(path("out/judgements/tiny.jsonl")), log);
  EXPECT_THAT(read_file(path("out/report.html")), HasSubstr("tiny"));
}

TEST_F(JudgeProgramTest, APersonComparesBlind) {
  const std::string line =
      "export NO_COLOR=1\nselfalign judge out --judge human --name ann "
      "--pairs first_subject,second_subject";
  {
    tests::Terminal terminal(folder(), line);
    EXPECT_TRUE(terminal.shows("answer 2"));
    EXPECT_THAT(terminal.screen(), HasSubstr("by f"));
    EXPECT_THAT(terminal.screen(), Not(HasSubstr("_subject")));
    EXPECT_THAT(terminal.screen(), Not(HasSubstr("another setting")));
    terminal.press("1");
    EXPECT_TRUE(terminal.shows("2/2"));
    terminal.press("q");
    EXPECT_EQ(terminal.end(), 0) << terminal.screen();
  }
  EXPECT_EQ(comparisons()[0]["num_items"], 1);
  {  // Goes on with what has no judgement yet.
    tests::Terminal terminal(folder(), line);
    EXPECT_TRUE(terminal.shows("answer 2"));
    EXPECT_THAT(terminal.screen(), Not(HasSubstr("2/2")));
    terminal.press("t");
    EXPECT_EQ(terminal.end(), 0) << terminal.screen();
  }
  const Json one = comparisons()[0];
  EXPECT_EQ(one["num_items"], 2);
  EXPECT_EQ(one["ties"], 1);
  EXPECT_EQ(one["wins_a"].get<int>() + one["wins_b"].get<int>(), 1);
}

// Whoever judged first learns of the other's agreement, too.
TEST_F(JudgeProgramTest, TwoPeopleAgreeEachWithTheOther) {
  for (const std::string name : {"ann", "bob"}) {
    tests::Terminal terminal(
        folder(),
        "export NO_COLOR=1\nselfalign judge out --judge human --name " + name +
            " --pairs first_subject,second_subject");
    EXPECT_TRUE(terminal.shows("1/2"));
    terminal.press("t");
    EXPECT_TRUE(terminal.shows("2/2"));
    terminal.press("t");
    EXPECT_EQ(terminal.end(), 0) << terminal.screen();
  }
  ASSERT_EQ(comparisons().size(), 2u);
  for (const Json& one : comparisons()) {
    ASSERT_EQ(one["agreement"].size(), 1u) << one["judge"];
    EXPECT_NE(one["agreement"][0]["with"], one["judge"]);
    EXPECT_EQ(one["agreement"][0]["raw"], 1.0);
  }
}

// A pair that was asked for is never passed over.
TEST_F(JudgeProgramTest, APairThatCannotBeComparedIsAnError) {
  const std::string line =
      "--judge model --max-tokens 8 --pairs first_subject,second_subject";
  const std::string file = path("out/results.json");
  const std::string good = read_file(file);
  Json results = parse_json(good, file);
  results["results"][0]["settings"] = {{"decoding", "one"},
                                       {"sampling", {{"temperature", 0.7}}}};
  results["results"][1]["settings"] = {{"decoding", "one"},
                                       {"sampling", {{"temperature", 0.2}}}};
  write_file_atomic(file, dump_json(results));
  const Outcome apart = judge(line);
  EXPECT_EQ(apart.code, 3) << apart.err;
  EXPECT_THAT(apart.err,
              HasSubstr("--pairs first_subject,second_subject: expected "
                        "answers to the same questions of vicuna under one "
                        "decoding, found 2 answers (temperature 0.7"));
  results = parse_json(good, file);
  results["results"].erase(1);
  write_file_atomic(file, dump_json(results));
  const Outcome none = judge(line);
  EXPECT_EQ(none.code, 3) << none.err;
  EXPECT_THAT(none.err, HasSubstr("that both have answered; "));
  write_file_atomic(file, good);
  write_file_atomic(path("out/items/first_subject/vicuna.jsonl"), "");
  const Outcome lost = judge(line);
  EXPECT_EQ(lost.code, 5) << lost.err;
  EXPECT_THAT(lost.err, HasSubstr("first_subject/vicuna.jsonl: expected the "
                                  "items that figures"));
  const Outcome report = bash("selfalign report out");
  EXPECT_EQ(report.code, 5) << report.err;
  EXPECT_FALSE(std::filesystem::exists(path("out/judgements")));
}

TEST_F(JudgeProgramTest, MistakesAreNamed) {
  const Outcome pairs = bash("selfalign judge out --judge human");
  EXPECT_EQ(pairs.code, 2);
  EXPECT_THAT(pairs.err, HasSubstr("add --pairs A,B"));
  const Outcome nobody = judge("--judge model --pairs first_subject,nobody");
  EXPECT_EQ(nobody.code, 2) << nobody.err;
  EXPECT_THAT(nobody.err, HasSubstr("nobody"));
  for (const auto& [more, found] : std::map<std::string, std::string>{
           {"--judge model --name ../x", "--name: expected a name that a file"},
           {"--judge model --name human.ann", "as people are named"},
           {"--judge model --price 1,2", "--price has no effect"},
           {"--judge human --pairs first_subject,second_subject --kinds single",
            "--kinds has no effect"},
           {"--judge human --pairs first_subject,second_subject --layout plain",
            "--layout has no effect"},
           {"--judge model --pairs first_subject,second_subject "
            "--reference first_subject",
            "--reference has no effect with --pairs"}}) {
    const Outcome outcome = bash("selfalign judge out " + more);
    EXPECT_EQ(outcome.code, 2) << more << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr(found)) << more;
  }
  EXPECT_FALSE(std::filesystem::exists(path("out/judgements")));
  make_folder(path("empty"));
  const Outcome none = bash("selfalign judge empty --judge model");
  EXPECT_EQ(none.code, 3);
  EXPECT_THAT(none.err, HasSubstr("run selfalign evaluate first"));
}

}  // namespace
}  // namespace selfalign
