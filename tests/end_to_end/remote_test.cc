// Commands with a model that only chats, behind a server in the test: published
// answers beside it, judged, marked and paid for; adherence; a row without
// finish_reason.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/file.h"
#include "base/json.h"
#include "generate/testing_server.h"
#include "program.h"
#include "scripted_runs.h"

namespace selfalign::tests {
namespace {

using generate::TestReply;
using generate::TestRequest;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// Answers every chat as `answer` says; there is no /completions.
class ChatServer {
 public:
  using Answer = std::function<std::string(const std::string& system,
                                           const std::string& user)>;
  explicit ChatServer(Answer answer)
      : server_([answer](const TestRequest& request) {
          if (request.target == "/v1/models") {
            return TestReply{.body = R"({"data":[{"id":"gpt"}]})"};
          }
          if (request.target != "/v1/chat/completions") {
            return TestReply{.status = 404};
          }
          const Json body = parse_json(request.body, "request");
          const Json& messages = body.at("messages");
          const std::string text =
              answer(messages[0].at("content"), messages.back().at("content"));
          return TestReply{
              .body = dump_json(Json{
                  {"choices",
                   {{{"message", {{"content", text}}},
                     {"finish_reason", "stop"}}}},
                  {"usage",
                   {{"prompt_tokens", 1000}, {"completion_tokens", 10}}}})};
        }) {}
  std::string model() const { return server_.url() + "#gpt"; }

 private:
  generate::TestServer server_;
};

class RemoteProgramTest : public ::testing::Test, public ProgramFolder {
 protected:
  RemoteProgramTest() {
    link_prompts();
    std::string questions, good, bad;
    for (int i = 1; i <= 4; ++i) {
      questions += dump_json(Json{{"question_id", i},
                                  {"category", i < 3 ? "math" : "writing"},
                                  {"turns", {str("Question ", i, "?")}}}) +
                   "\n";
      good +=
          dump_json(Json{
              {"question_id", i},
              {"model_id", "good"},
              {"choices", {{{"index", 0}, {"turns", {"a good answer"}}}}}}) +
          "\n";
      bad +=
          dump_json(Json{{"question_id", i}, {"text", "a bad answer"}}) + "\n";
    }
    write_file_atomic(path("q.jsonl"), questions);
    write_file_atomic(path("good.jsonl"), good);
    write_file_atomic(path("bad.jsonl"), bad);
  }
  Json results() const {
    return parse_json(read_file(path("out/results.json")), "results");
  }
};

// Prefers the good answer, wherever it stands, and marks it 8; else 4.
std::string judge_well(const std::string& /*system*/, const std::string& user) {
  const size_t good = user.find("a good answer");
  const size_t bad = user.find("a bad answer");
  if (good == std::string::npos) return "[[4]]";
  if (bad == std::string::npos) return "[[8]]";
  return good < bad ? "First. [[A]]" : "Second. [[B]]";
}

TEST_F(RemoteProgramTest, PublishedAnswersAreComparedAndMarkedByAChatModel) {
  const Outcome asked = bash(
      "selfalign evaluate --questions q.jsonl --answers good.jsonl --answers "
      "weak=bad.jsonl --out out");
  ASSERT_EQ(asked.code, 0) << asked.err;
  const ChatServer server(judge_well);
  const std::string line = "selfalign judge out --judge " + server.model() +
                           " --reference weak --price 2,10";
  const Outcome judged = bash(line);
  ASSERT_EQ(judged.code, 0) << judged.err;
  const Json found = results();
  ASSERT_EQ(found["comparisons"].size(), 1u);
  const Json& one = found["comparisons"][0];
  EXPECT_EQ(one["a"], "good");
  EXPECT_EQ(one["b"], "weak");
  EXPECT_EQ(one["wins_a"], 4);
  EXPECT_EQ(one["win_rate"], 1.0);
  EXPECT_EQ(one["judge_fingerprint"], "remote gpt, chat");
  EXPECT_EQ(one["settings"]["layout"], "chat");
  EXPECT_EQ(one["relative_score"]["value"], 2.0);
  EXPECT_EQ(one["relative_score"]["by_category"]["math"]["sum_a"], 16.0);
  EXPECT_THAT(judged.out, HasSubstr("good has 200.0 %"));
  // 8 comparisons, 4 of identical answers, 8 marks.
  ASSERT_EQ(found["usage"].size(), 1u);
  EXPECT_EQ(found["usage"][0]["requests"], 20);
  EXPECT_EQ(found["usage"][0]["prompt_tokens"], 20000);
  EXPECT_DOUBLE_EQ(found["usage"][0]["cost"].get<double>(), 0.042);
  EXPECT_THAT(judged.out, HasSubstr("judge gpt: 20 requests, 20,000 tokens in, "
                                    "200 out, cost 0.0420"));
  // Nothing is asked, or paid for, twice.
  EXPECT_EQ(bash(line).code, 0);
  EXPECT_EQ(results()["usage"], found["usage"]);
  const std::string report = read_file(path("out/report.md"));
  for (const char* part :
       {"Score relative to another model", "Outcomes by category",
        "Relative score by category", "What was asked of models"}) {
    EXPECT_THAT(report, HasSubstr(part));
  }
}

TEST_F(RemoteProgramTest, AChatModelIsASubjectWhereNothingIsScored) {
  const ChatServer server([](const std::string&, const std::string& user) {
    return "Re: " + user;
  });
  const Outcome asked =
      bash("selfalign evaluate --questions q.jsonl --subjects base --model " +
           server.model() + " --out out");
  ASSERT_EQ(asked.code, 0) << asked.err;
  EXPECT_THAT(read_file(path("out/items/base/q.jsonl")),
              HasSubstr("Re: Question 1?"));
  EXPECT_EQ(results()["usage"][0]["prompt_tokens"], 4000);
}

TEST_F(RemoteProgramTest, AnswersThatDoNotFitAreNamed) {
  write_file_atomic(path("twice.jsonl"),
                    "{\"question_id\":1,\"text\":\"a\"}\n"
                    "{\"question_id\":1,\"text\":\"b\"}\n");
  const Outcome twice = bash(
      "selfalign evaluate --questions q.jsonl --answers twice.jsonl --out two");
  EXPECT_EQ(twice.code, 0) << twice.err;
  EXPECT_THAT(twice.err, HasSubstr("twice.jsonl: line 2: "));
  EXPECT_THAT(read_file(path("two/items/twice/q.jsonl")),
              AllOf(HasSubstr("\"a\""), Not(HasSubstr("\"b\""))));
  EXPECT_EQ(bash("selfalign evaluate --answers good.jsonl").code, 2);
  EXPECT_EQ(bash("selfalign evaluate --questions q.jsonl").code, 2);
}

TEST_F(RemoteProgramTest, ARowWithoutFinishReasonIsARow) {
  const generate::TestServer server([](const TestRequest& request) {
    if (request.target == "/v1/models") {
      return TestReply{.body = R"({"data":[{"id":"m"}]})"};
    }
    return TestReply{
        .body = R"({"choices":[{"text":" ok.","finish_reason":null}]})"};
  });
  const Outcome made = bash("selfalign generate --model " + server.url() +
                            "#m <<<'{\"prompt\":\"x\"}'");
  EXPECT_EQ(made.code, 0) << made.err;
  ASSERT_EQ(made.lines().size(), 1u);
  EXPECT_EQ(made.lines()[0]["text"], " ok.");
  EXPECT_EQ(made.lines()[0]["finish_reason"], "length");
}

TEST(AdherenceProgramTest, AJudgeSaysWhetherFiredRulesWereKept) {
  ScriptedRuns runs;
  runs.run(small_recipe(runs.path("a")));
  const std::string prompts = std::filesystem::absolute("prompts").string();
  const auto principles = [&](const ChatServer& server,
                              const std::string& more) {
    return run_bash(runs.folder(), "selfalign principles a --judge " +
                                       server.model() + " --prompts " +
                                       prompts + " " + more);
  };
  const ChatServer kind(
      [](const auto&, const auto&) { return "It does. [[yes]]"; });
  const Outcome judged = principles(kind, "--per-rule 5 --price 2,10");
  ASSERT_EQ(judged.code, 0) << judged.err;
  EXPECT_THAT(judged.out, HasSubstr("Rules that fired and were kept: 100.0 %"));
  EXPECT_THAT(judged.out, HasSubstr("does not tell"));
  EXPECT_THAT(judged.out, HasSubstr("judge gpt: "));
  const Json results =
      parse_json(read_file(runs.path("a/evaluation/results.json")), "results");
  EXPECT_EQ(results["results"][0]["task"], "adherence.judge.gpt");
  EXPECT_EQ(results["results"][0]["num_failures"], 0);
  EXPECT_THAT(read_file(runs.path("a/report.md")),
              HasSubstr("Adherence: rules that fired, and were kept"));
  const ChatServer vague([](const auto&, const auto&) { return "Who knows?"; });
  const Outcome none = principles(vague, "--per-rule 2 --name vague");
  EXPECT_EQ(none.code, 0) << none.err;
  EXPECT_THAT(none.out, HasSubstr("no verdict"));
  EXPECT_THAT(none.err, HasSubstr("without a verdict that can be read"));
}

}  // namespace
}  // namespace selfalign::tests
