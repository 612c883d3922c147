// SPDX-License-Identifier: Apache-2.0
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

// A server that completes texts and chats, too.
TEST_F(RemoteProgramTest, AChatAsksAServersModelAsAChat) {
  const generate::TestServer server([](const TestRequest& request) {
    if (request.target == "/v1/models") {
      return TestReply{.body = R"({"data":[{"id":"m"}]})"};
    }
    const bool chats = request.target == "/v1/chat/completions";
    return TestReply{.body =
                         str(R"({"choices":[{"finish_reason":"stop",)",
                             chats ? R"("message":{"content":"an answer"}}]})"
                                   : R"("text":"a text"}]})")};
  });
  const std::string chat = "selfalign chat " + server.url();
  EXPECT_EQ(bash(chat, "Hi\n").out, "an answer\n\n");
  EXPECT_EQ(bash(chat + " --api completions", "Hi\n").out, "a text\n\n");
}

TEST_F(RemoteProgramTest, ARowThatAServerDoesNotScoreIsThatRowsOutcome) {
  const generate::TestServer server([](const TestRequest& request) {
    if (request.target == "/v1/models") {
      return TestReply{.body = R"({"data":[{"id":"m"}]})"};
    }
    const Json body = parse_json(request.body, "request");
    const auto prompt = body.at("prompt").get<std::string>();
    if (prompt == "c3x") return TestReply{.status = 403, .body = "blocked"};
    Json lists{{"tokens", Json::array()}, {"token_logprobs", Json::array()}};
    for (const char byte : prompt) {
      lists["tokens"].push_back(std::string(1, byte));
      lists["token_logprobs"].push_back(-1);
    }
    return TestReply{
        .body = dump_json(
            Json{{"choices", {{{"text", prompt}, {"logprobs", lists}}}}})};
  });
  std::string lines;
  for (int i = 0; i < 6; ++i) {
    lines += str(R"({"context":"c)", i, R"(","continuations":["x"]})", "\n");
  }
  const Outcome scored = bash("selfalign score --model " + server.url(), lines);
  EXPECT_EQ(scored.code, 0) << scored.err;
  const std::vector<Json> rows = scored.lines();
  ASSERT_EQ(rows.size(), 6u);
  for (size_t i = 0; i < rows.size(); ++i) {
    const Json& one = rows[i].at("continuations").at(0);
    EXPECT_EQ(one.value("finish_reason", ""), i == 3 ? "refused" : "") << i;
    EXPECT_EQ(one.value("sum", 0.0), i == 3 ? 0 : -1) << i;
  }
}

// A run of stage 2 by a server that answers one instruction badly.
class RemoteRunTest : public RemoteProgramTest {
 protected:
  RemoteRunTest()
      : server_([this](const TestRequest& request) {
          headers_ += request.headers;
          if (request.target == "/v1/models") {
            return TestReply{.body = R"({"data":[{"id":"m"}]})"};
          }
          if (request.target != "/v1/completions") {
            return TestReply{.status = 404};
          }
          if (request.body.find("thermodynamics") != std::string::npos) {
            return TestReply{.body = R"({"choices":[{"text":7}]})"};
          }
          // The same text, counted differently, as servers that restart may.
          const int tokens =
              request.body.find("planets") == std::string::npos ? 40 : 80;
          return TestReply{
              .body = dump_json(Json{
                  {"choices",
                   {{{"text",
                      " Asks\x1b[31m for a poem. Rules 3 "
                      "(helpful).\n\nSage: Roses "
                      "are red. You sent the key-0123456789.\n\n"},
                     {"finish_reason", "stop"}}}},
                  {"usage",
                   {{"prompt_tokens", 1000}, {"completion_tokens", tokens}}}})};
        }) {
    std::string given;
    for (const char* text :
         {"Write the first poem about roses in a garden.",
          "Explain the second law of thermodynamics to a child.",
          "Which planets of the sun have rings around them?"}) {
      given += dump_json(Json{{"instruction", text}}) + "\n";
    }
    write_file_atomic(path("given.jsonl"), given);
  }
  void write_recipe(const std::string& address) {
    write_file_atomic(path("r.yaml"),
                      "name: r\nrun_folder: run\nmodel: {path: \"" + address +
                          "#m\", num_slots: 1}\nprompts_folder: prompts\n"
                          "instructions: {path: given.jsonl}\n"
                          "stages: [align]\nnum_held_out: 0\n");
  }

  std::string headers_;
  generate::TestServer server_;
};

TEST_F(RemoteRunTest, ABadAnswerIsARowAndTheKeyIsNowhere) {
  write_recipe(server_.url());
  const std::string run =
      "umask 022; SELFALIGN_API_KEY=key-0123456789 selfalign run r.yaml";
  const Outcome made = bash(run);
  ASSERT_EQ(made.code, 0) << made.err;
  EXPECT_THAT(headers_, HasSubstr("Authorization: Bearer key-0123456789\r\n"));
  const Outcome status = bash("selfalign status run");
  EXPECT_THAT(status.out, HasSubstr("1 bad_answer"));
  EXPECT_EQ(bash("selfalign verify run").code, 0);
  EXPECT_EQ(bash("grep -r key-0123456789 run").code, 1);  // none
  EXPECT_THAT(made.err, Not(HasSubstr("key-0123456789")));
  EXPECT_THAT(bash("selfalign show run align.answers:0").out,
              AllOf(HasSubstr("[key]"), Not(HasSubstr("\x1b"))));
  EXPECT_EQ(bash("find run -perm /077").out, "");
  // A second time nothing is asked, and nothing changes.
  headers_.clear();
  EXPECT_EQ(bash(run).code, 0);
  EXPECT_THAT(headers_, Not(HasSubstr("POST")));
  EXPECT_EQ(bash("selfalign status run").out, status.out);
}

TEST_F(RemoteRunTest, ARunFolderFromElsewhereGetsNoKey) {
  write_recipe(server_.url());
  ASSERT_EQ(bash("selfalign run r.yaml").code, 0);
  headers_.clear();
  // The stored recipe names this server; the key is for another.
  const Outcome asked = bash(
      "SELFALIGN_REMOTE_KEY='api.example.com key-0123456789' selfalign run "
      "run/recipe.resolved.yaml --run-folder again");
  EXPECT_EQ(asked.code, 0) << asked.err;
  EXPECT_THAT(headers_, HasSubstr("POST"));
  EXPECT_THAT(headers_, Not(HasSubstr("Authorization")));
}

TEST_F(RemoteRunTest, APasswordInAnAddressIsStoredAndShownNowhere) {
  write_recipe("http://user:hidden@host/v1");
  for (const char* line :
       {"selfalign run r.yaml", "selfalign generate --model http://u:hidden@h",
        "selfalign score --model HTTP://hidden@h/v1#m",
        "selfalign train given.jsonl --output t --model http://u:hidden@h",
        "selfalign chat http://u:hidden@h", "selfalign serve http://u:hidden@h",
        "selfalign evaluate --model http://u:hidden@h --questions q.jsonl",
        "selfalign judge . --judge http://u:hidden@h"}) {
    const Outcome refused = bash(line);
    EXPECT_EQ(refused.code, 2) << line;
    EXPECT_THAT(refused.out + refused.err,
                AllOf(HasSubstr("http://host:port"), Not(HasSubstr("hidden"))))
        << line;
  }
  EXPECT_FALSE(std::filesystem::exists(path("run")));
}

TEST_F(RemoteRunTest, AKeyGoesToNoOtherMachineInTheClear) {
  write_file_atomic(path("keys"), "gpu1.invalid:80 key-0123456789\n");
  const std::string line =
      "chmod 600 keys; selfalign generate --api-key-file keys --model "
      "http://gpu1.invalid/v1#m <<<'{}'";
  EXPECT_THAT(bash(line).err, HasSubstr("--key-over-http"));
  EXPECT_THAT(bash(line + " --key-over-http").err,
              Not(HasSubstr("--key-over-http")));
  EXPECT_THAT(bash("chmod 644 keys; " + line.substr(16)).err,
              HasSubstr("chmod 600 keys"));
}

TEST_F(RemoteRunTest, ATerminalShowsModelsAndPastedTextWithoutObeying) {
  write_recipe(server_.url());
  ASSERT_EQ(bash("selfalign run r.yaml").code, 0);
  Terminal show(folder(), "selfalign show run align.answers:0");
  EXPECT_EQ(show.end(), 0);
  EXPECT_THAT(show.screen(), AllOf(HasSubstr("\xef\xbf\xbd[31m for a poem"),
                                   Not(HasSubstr("\x1b[31m"))));
  Terminal search(folder(), "selfalign search run Roses");
  EXPECT_EQ(search.end(), 0);
  EXPECT_THAT(search.screen(), HasSubstr("\x1b[1;7mRoses\x1b[0m"));
  Terminal typing(folder(), "selfalign generate --model " + server_.url());
  ASSERT_TRUE(typing.takes_keys_before("error"));
  typing.press(
      "a\xc2\x9b"
      "b\xe2\x80\xae"
      "c!");
  EXPECT_TRUE(typing.shows("c!"));
  EXPECT_THAT(typing.screen(), AllOf(HasSubstr("a\xef\xbf\xbd"
                                               "b\xef\xbf\xbd"
                                               "c!"),
                                     Not(HasSubstr("\xc2\x9b"))));
  typing.press("\x15\x04");
  EXPECT_EQ(typing.end(), 0);
}

TEST(ScreenProgramTest, ArgumentsThatAreEchoedAreMadeSafe) {
  const ProgramFolder folder;
  const Outcome odd =
      folder.bash("selfalign verify . $'\\e[31mx' $'\\xc2\\x9b'");
  EXPECT_EQ(odd.code, 2);
  EXPECT_THAT(odd.err, AllOf(HasSubstr("[31mx"), Not(HasSubstr("\x1b")),
                             Not(HasSubstr("\xc2\x9b"))));
  const Outcome name = folder.bash("selfalign inspect $'\\e]0;x\\a'");
  EXPECT_NE(name.code, 0);
  EXPECT_THAT(name.err, AllOf(HasSubstr("]0;x"), Not(HasSubstr("\x1b"))));
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
