// SPDX-License-Identifier: Apache-2.0
// The server as a program: what it answers over HTTP, to our own client of that
// API, is what the same model says without it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "base/file.h"
#include "program.h"
#include "tiny_model.h"

namespace selfalign {
namespace {

using ::testing::HasSubstr;
using tests::Outcome;

class ServingTest : public testing::Test, public tests::ProgramFolder {
 protected:
  ServingTest() { make_tiny_model(path("model")); }

  // Runs `lines` beside a server whose address is in $url, then stops it.
  // `flags` are the server's.
  Outcome with_server(const std::string& flags,
                      const std::string& lines) const {
    return bash("rm -f served; '" SELFALIGN_PROGRAM
                "' --json serve model --device cpu --dtype float32 --port 0 "
                "--slots 4 --max-context 256 " +
                flags +
                " >served 2>log & pid=$!\n"
                "until grep -q url served; do sleep 0.02; "
                "kill -0 $pid || exit 9; done\n"
                "url=$(sed 's/.*\"url\":\"\\([^\"]*\\)\".*/\\1/' served)\n" +
                lines + "\nkill -TERM $pid; wait $pid\n");
  }
  // Lines for with_server: a chat's request whose reply comes into `file`.
  static std::string post(const std::string& body, const std::string& file) {
    return "port=${url%/v1}; port=${port##*:}\n"
           "exec 3<>/dev/tcp/127.0.0.1/$port\n"
           "printf 'POST /v1/chat/completions HTTP/1.1\\r\\nHost: "
           "localhost\\r\\nContent-Type: application/json\\r\\n"
           "Connection: close\\r\\nContent-Length: " +
           std::to_string(body.size()) + "\\r\\n\\r\\n%s' '" + body +
           "' >&3\ncat <&3 >" + file + "\n";
  }
  Json reply_of(const std::string& file) const {
    const std::string reply = read_file(path(file));
    return parse_json(reply.substr(reply.find("\r\n\r\n") + 4), "reply");
  }
  // Trains verbose/adapter; what it carries.
  Json train_assistant() const {
    link_prompts();
    write_file_atomic(path("data.jsonl"),
                      R"({"instruction": "one", "output": "aaaa"})"
                      "\n");
    const Outcome trained = bash(
        "selfalign train data.jsonl --model model --output t --form tuned "
        "--learning-rate 0.01 --warmup-steps 0 --epochs 3 && "
        "mkdir verbose && cp -r t/adapter verbose/adapter");
    EXPECT_EQ(trained.code, 0) << trained.err;
    const std::string file = path("verbose/adapter/selfalign.json");
    return parse_json(read_file(file), file);
  }
  std::vector<Json> lines_of(const std::string& file) const {
    return Outcome{0, read_file(path(file)), ""}.lines();
  }
};

// As a command that makes rows does, and not under nohup.
TEST_F(ServingTest, EverySignalThatAsksToStopStopsIt) {
  const std::string ends =
      "for i in $(seq 300); do kill -0 $pid || exit 7; sleep 0.1; done";
  for (const std::string signal : {"HUP", "QUIT", "INT", "USR1"}) {
    const Outcome result =
        with_server("", "kill -" + signal + " $pid\n" + ends);
    EXPECT_EQ(result.code, 7) << signal << result.err;
  }
  const Outcome kept = with_server(
      "", "(trap '' HUP; '" SELFALIGN_PROGRAM
          "' --json serve model --device cpu --port 0 --max-context 256 "
          ">served2 & echo $! >pid2)\n"
          "until grep -q url served2; do sleep 0.1; done\n"
          "kill -HUP $(cat pid2); sleep 1; kill -0 $(cat pid2) && kept=1\n"
          "kill $(cat pid2); echo kept=$kept");
  EXPECT_THAT(kept.out, HasSubstr("kept=1")) << kept.err;
}

TEST_F(ServingTest, TextsAndScoresAreThoseOfTheModelWithoutIt) {
  std::string requests, contexts;
  for (int i = 0; i < 12; ++i) {
    requests += dump_json({{"prompt", "row " + std::to_string(i)},
                           {"temperature", 0},
                           {"max_tokens", 5 + i}}) +
                "\n";
    contexts += dump_json({{"context", "row " + std::to_string(i)},
                           {"continuations", {" one", " or two"}}}) +
                "\n";
  }
  write_file_atomic(path("requests"), requests);
  write_file_atomic(path("contexts"), contexts);
  const std::string local =
      " --model model --device cpu --dtype float32 --max-context 256";
  const Outcome served = with_server(
      "",
      "selfalign generate --model $url#model --slots 8 <requests >remote &&\n"
      "selfalign score --model $url#model <contexts >remote_scores &&\n"
      "selfalign generate" +
          local +
          " <requests >local &&\n"
          "selfalign score" +
          local + " <contexts >local_scores");
  EXPECT_EQ(served.code, 0) << served.err << read_file(path("log"));
  EXPECT_THAT(read_file(path("log")),
              HasSubstr("answers at work have up to 15 s to finish"));
  const auto remote = lines_of("remote"), here = lines_of("local");
  ASSERT_EQ(remote.size(), 12u);
  for (size_t i = 0; i < 12; ++i) {
    EXPECT_EQ(remote[i]["text"], here[i]["text"]);
    EXPECT_EQ(remote[i]["finish_reason"], here[i]["finish_reason"]);
  }
  const auto scores = lines_of("remote_scores");
  const auto own = lines_of("local_scores");
  ASSERT_EQ(scores.size(), 12u);
  for (size_t i = 0; i < 12; ++i) {
    for (const int c : {0, 1}) {
      EXPECT_NEAR(scores[i]["continuations"][c]["sum"].get<double>(),
                  own[i]["continuations"][c]["sum"].get<double>(), 1e-4);
    }
  }
}

TEST_F(ServingTest, AChatOverItsApiIsThatOfATextInItsForm) {
  link_prompts();
  write_file_atomic(
      path("questions.jsonl"),
      "{\"question_id\":1,\"turns\":[\"row one\",\"row two\"]}\n");
  write_file_atomic(
      path("requests"),
      "{\"prompt\":\"row\",\"temperature\":0,\"max_tokens\":9}\n");
  const std::string ask = "selfalign generate --form none <requests --model ";
  const Outcome served = with_server(
      "", ask + "$url#model --api chat --price 1,2 >chat 2>chat_log &&\n" +
              ask + "$url/chat/completions#model >address &&\n" + ask +
              "$url#model >auto &&\n"
              "selfalign evaluate --questions questions.jsonl --subjects base "
              "--model $url/chat/completions#model --price 3,4 --out out "
              ">table &&\n"
              "selfalign judge out --judge $url#model --api chat --name j "
              "--kinds single --max-tokens 8 >judged");
  EXPECT_EQ(served.code, 0) << served.err << read_file(path("log"));
  const auto chat = lines_of("chat");
  ASSERT_EQ(chat.size(), 1u);
  EXPECT_EQ(chat[0]["finish_reason"], "length");
  EXPECT_EQ(chat[0]["num_tokens"], 9);
  EXPECT_GT(chat[0]["num_prompt_tokens"], 0);
  EXPECT_NE(chat[0]["text"], "");
  EXPECT_EQ(lines_of("address")[0]["text"], chat[0]["text"]);
  EXPECT_EQ(lines_of("auto").size(), 1u);
  EXPECT_THAT(read_file(path("chat_log")), HasSubstr("1 requests, "));
  EXPECT_THAT(read_file(path("chat_log")), HasSubstr("cost 0.0000"));
  const Json results =
      parse_json(read_file(path("out/results.json")), "results");
  EXPECT_EQ(results["subjects"][0]["fingerprint"], "remote model, chat");
  ASSERT_EQ(results["usage"].size(), 2u);
  EXPECT_EQ(results["usage"][0]["requests"], 2);
  EXPECT_GT(results["usage"][0]["cost"], 0.0);
  EXPECT_EQ(results["usage"][1]["kind"], "judge");
  EXPECT_EQ(results["usage"][1]["requests"], 2);
  EXPECT_THAT(read_file(path("table")), HasSubstr("subject base: 2 requests"));
}

// One assistant, whatever its folder is called now: the terminal, `generate`
// and the API, as the page asks it, show it the same text and sample alike.
TEST_F(ServingTest, AnAssistantAnswersAlikeAtEveryEntrance) {
  Json carried = train_assistant();
  const std::string file = path("verbose/adapter/selfalign.json");
  EXPECT_EQ(carried["form"], "tuned");
  EXPECT_EQ(carried["sampling"]["temperature"], 0.7);
  carried["sampling"]["temperature"] = 0;
  carried["sampling"]["max_new_tokens"] = 9;
  write_file_atomic(file, dump_json(carried));
  const std::string how =
      " --adapter verbose/adapter --device cpu --dtype float32 "
      "--max-context 256 ";
  write_file_atomic(path("asked"), R"({"prompt": "one"})");
  const Outcome chat =
      bash("selfalign chat model --json" + how + "<<<one >chat");
  ASSERT_EQ(chat.code, 0) << chat.err;
  ASSERT_EQ(
      bash("selfalign generate --model model" + how + "<asked >lines").code, 0);
  // As the page asks: the messages alone.
  const std::string body =
      R"({"model":"a","messages":[{"role":"user","content":"one"}]})";
  const Outcome served =
      with_server("--adapter a=verbose/adapter", post(body, "reply"));
  ASSERT_EQ(served.code, 0) << served.err << read_file(path("log"));
  const Json api = reply_of("reply");
  const Json said = lines_of("chat").at(0);
  const Json line = lines_of("lines").at(0);
  EXPECT_EQ(said["model"], "tuned");
  EXPECT_LE(said["num_tokens"], 9);
  EXPECT_EQ(line["num_tokens"], said["num_tokens"]);
  EXPECT_EQ(api["usage"]["completion_tokens"], said["num_tokens"]);
  EXPECT_EQ(api["choices"][0]["message"]["content"], said["answer"]);
  EXPECT_THAT(line["text"].get<std::string>(),
              HasSubstr(said["answer"].get<std::string>()));
  // BOS is none here: the prompt and the turn, the same for all.
  EXPECT_EQ(api["usage"]["prompt_tokens"], line["num_prompt_tokens"]);
  // One that carries nothing is not guessed at.
  std::filesystem::remove(file);
  for (const char* command : {"chat model --adapter",
                              "generate --model model "
                              "--adapter",
                              "serve model --port 0 --adapter "
                              "a=verbose/adapter --adapter"}) {
    const std::string last = std::string(command).starts_with("serve")
                                 ? " b=verbose/adapter"
                                 : " verbose/adapter";
    const Outcome refused =
        bash("selfalign " + std::string(command) + last + " <asked");
    EXPECT_EQ(refused.code, 2) << command;
    EXPECT_THAT(refused.err, HasSubstr("name the prompt with --form"))
        << command;
  }
}

// The same tokens count for a penalty, and one seed gives one text.
TEST_F(ServingTest, AnAssistantSaysTheSameTextAtEveryEntrance) {
  Json carried = train_assistant();
  carried["base"] = "local 0123, cpu float32";
  carried["prompt"]["prompt"] = "About Sage, who answers.\n\n";
  carried["sampling"]["repetition_penalty"] = 1.5;
  carried["sampling"]["max_new_tokens"] = 30;
  const std::string how =
      " --adapter verbose/adapter --device cpu --dtype float32 "
      "--max-context 256 ";
  write_file_atomic(path("asked"), R"({"prompt": "one", "key": 7})");
  const std::string user = R"({"role":"user","content":"one"}]})";
  const std::string head = R"({"model":"a","seed":7,"messages":[)";
  const std::string system =
      R"({"role":"system","content":"About Sage, who answers."},)";
  std::vector<std::string> texts;
  for (const double temperature : {0.0, 1.0}) {
    carried["sampling"]["temperature"] = temperature;
    write_file_atomic(path("verbose/adapter/selfalign.json"),
                      dump_json(carried));
    const Outcome served = with_server(
        "--adapter a=verbose/adapter",
        post(head + user, "plain") + post(head + system + user, "system"));
    ASSERT_EQ(served.code, 0) << served.err << read_file(path("log"));
    const Outcome lines =
        bash("selfalign chat model --json --seed 7" + how +
             "<<<one >chat && selfalign generate --model model" + how +
             "<asked >lines");
    ASSERT_EQ(lines.code, 0) << lines.err;
    EXPECT_THAT(lines.err, HasSubstr("trained on (local 0123), found model"));
    const Json text = lines_of("chat").at(0)["answer"];
    for (const char* reply : {"plain", "system"}) {
      EXPECT_EQ(reply_of(reply)["choices"][0]["message"]["content"], text)
          << temperature << reply;
    }
    EXPECT_THAT(lines_of("lines").at(0)["text"].get<std::string>(),
                HasSubstr(text.get<std::string>()));
    EXPECT_GE(text.get<std::string>().size(), 8u) << text;
    texts.push_back(text.get<std::string>());
  }
  EXPECT_NE(texts[0], texts[1]);
}

TEST_F(ServingTest, AnAdapterThatIsNoneIsNamedAsWhatItIs) {
  link_prompts();
  const auto refusal = [this](const std::string& line) {
    const Outcome refused = bash("selfalign " + line + " </dev/null");
    EXPECT_EQ(refused.code, 3) << line << refused.err;
    return refused.err;
  };
  for (const char* line :
       {"chat model --adapter nope", "generate --model model --adapter nope",
        "generate --model model --form none --adapter nope",
        "serve model --port 0 --adapter m=nope"}) {
    EXPECT_THAT(refusal(line), HasSubstr("nope: expected the folder of an "
                                         "adapter (adapter_config.json), found "
                                         "no such folder"))
        << line;
  }
  EXPECT_THAT(refusal("chat model --adapter model"),
              HasSubstr("found a model"));
  make_folder(path("run"));
  write_file_atomic(path("run/recipe.resolved.yaml"), "");
  EXPECT_THAT(refusal("chat model --adapter run"), HasSubstr("found a run"));
  make_folder(path("run/verbose/adapter"));
  write_file_atomic(path("run/verbose/adapter/adapter_config.json"), "{}");
  EXPECT_THAT(refusal("chat model --adapter run/verbose"),
              HasSubstr("found one around it"));
}

TEST_F(ServingTest, AnOpenAddressNeedsAKeyFromAFile) {
  const Outcome open = bash("selfalign serve model --host 0.0.0.0 --port 0");
  EXPECT_EQ(open.code, 2);
  EXPECT_THAT(open.err, HasSubstr("--api-key-file"));
  write_file_atomic(path("key"), "a-key-of-some-length\n");
  const Outcome shared =
      bash("chmod 644 key; selfalign serve model --port 0 --api-key-file key");
  EXPECT_EQ(shared.code, 2);
  EXPECT_THAT(shared.err, HasSubstr("chmod 600 key"));
  EXPECT_EQ(bash("chmod 600 key").code, 0);
  const std::string ask =
      "selfalign generate --model $url#model <<<'{\"prompt\":\"a\"}'";
  const Outcome served = with_server(
      "--api-key-file key", "SELFALIGN_API_KEY=a-key-of-some-length " + ask +
                                " >allowed; " + ask + "; echo code $?");
  EXPECT_EQ(served.code, 0) << served.err;
  EXPECT_EQ(lines_of("allowed").size(), 1u);
  EXPECT_THAT(served.out, HasSubstr("code 2"));
  EXPECT_EQ(served.err.find("a-key-of"), std::string::npos);
}

TEST_F(ServingTest, WrongCommandLines) {
  EXPECT_EQ(bash("selfalign serve model --adapter folder --port 0").code, 2);
  EXPECT_EQ(bash("selfalign serve http://localhost/v1#x --port 0").code, 2);
  EXPECT_EQ(bash("selfalign serve absent --port 0").code, 3);
  // An address of documentation (RFC 5737), which no machine has.
  const Outcome elsewhere = bash(
      "SELFALIGN_API_KEY=a-key-of-some-length selfalign serve model "
      "--host 192.0.2.1 --port 0");
  EXPECT_EQ(elsewhere.code, 1);
  EXPECT_THAT(elsewhere.err, HasSubstr("choose another --host"));
}

}  // namespace
}  // namespace selfalign
