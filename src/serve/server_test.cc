// SPDX-License-Identifier: Apache-2.0
// Every endpoint over real sockets, on a model of bytes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "serve/server_fixture.h"

namespace selfalign::serve {
namespace {

using ::testing::HasSubstr;

TEST_F(ServerTest, ACompletion) {
  start();
  const Json answer = complete({{"model", "two"},
                                {"prompt", "Hi"},
                                {"temperature", 0},
                                {"max_tokens", 100}});
  EXPECT_EQ(answer["object"], "text_completion");
  EXPECT_EQ(answer["model"], "two");
  ASSERT_EQ(answer["choices"].size(), 1u);
  EXPECT_EQ(answer["choices"][0]["text"], "echo of Hi, 0\n");
  EXPECT_EQ(answer["choices"][0]["finish_reason"], "stop");
  EXPECT_TRUE(answer["choices"][0]["logprobs"].is_null());
  EXPECT_EQ(answer["usage"]["prompt_tokens"], 2);
  EXPECT_EQ(answer["usage"]["completion_tokens"], 14);
  EXPECT_EQ(answer["usage"]["total_tokens"], 16);
  EXPECT_TRUE(answer["id"].get<std::string>().starts_with("cmpl-"));
}

TEST_F(ServerTest, ThePageIsGivenWithoutAKeyAndTheApiIsNot) {
  http_.api_key = "a-key-of-some-length";
  start();
  const auto get = [&](const std::string& path) {
    return ask("GET " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n");
  };
  const HttpAnswer page = get("/");
  EXPECT_EQ(page.status, 200);
  EXPECT_THAT(page.head, HasSubstr("Content-Type: text/html; charset=utf-8"));
  EXPECT_THAT(page.head, HasSubstr("X-Frame-Options: DENY"));
  EXPECT_THAT(page.body, HasSubstr("default-src 'none'"));
  // Nothing that its own policy would not run, and nothing from elsewhere.
  for (const char* never : {"<script>", "<style>", "onclick", "http:", "//"}) {
    EXPECT_EQ(page.body.find(never), std::string::npos) << never;
  }
  for (const std::string file : {"page.css", "page.js"}) {
    EXPECT_THAT(page.body, HasSubstr("\"" + file + "\""));
    EXPECT_EQ(get("/" + file).status, 200) << file;
  }
  EXPECT_THAT(get("/page.js").head, HasSubstr("Content-Type: text/javascript"));
  EXPECT_EQ(get("/v1/models").status, 401);
  EXPECT_EQ(get("/page.jsx").status, 401);
}

TEST_F(ServerTest, BatchesAndSamplesStandInOrder) {
  start();
  const Json answer = complete({{"prompt", {"a", "b", "c"}},
                                {"n", 2},
                                {"max_tokens", 100},
                                {"stop", ","}});
  ASSERT_EQ(answer["choices"].size(), 6u);
  for (int i = 0; i < 6; ++i) {
    EXPECT_EQ(answer["choices"][i]["index"], i);
    EXPECT_EQ(answer["choices"][i]["text"], str("echo of ", "abc"[i / 2]));
  }
  const Json ids = complete(
      {{"prompt", {{'x'}, {'y', 'z'}}}, {"stop", ","}, {"max_tokens", 100}});
  EXPECT_EQ(ids["choices"][1]["text"], "echo of yz");
  EXPECT_EQ(
      complete({{"prompt", {'q'}}, {"max_tokens", 9}})["choices"][0]["text"],
      "echo of q");
  EXPECT_EQ(complete({{"prompt", ""}, {"max_tokens", 0}})["choices"][0]["text"],
            "");
}

TEST_F(ServerTest, ASeedGivesOneTextAndNoSeedAnotherEachTime) {
  start();
  const auto text = [&](const Json& more) {
    Json body{{"prompt", "p"}, {"max_tokens", 100}};
    body.update(more);
    return complete(body)["choices"][0]["text"].get<std::string>();
  };
  EXPECT_EQ(text({{"seed", 5}}), text({{"seed", 5}}));
  EXPECT_NE(text({{"seed", 5}}), text({{"seed", 6}}));
  EXPECT_NE(text(Json::object()), text(Json::object()));
  const Json two =
      complete({{"prompt", "p"}, {"n", 2}, {"seed", 5}, {"max_tokens", 100}});
  EXPECT_NE(two["choices"][0]["text"], two["choices"][1]["text"]);
  EXPECT_EQ(two["choices"][0]["text"], text({{"seed", 5}}));
}

// What lm-eval's local-completions sends and reads for a continuation "cd"
// after the context "ab": everything from the context's length to the last but
// one.
TEST_F(ServerTest, EchoWithLogprobsAsBenchmarksAskForIt) {
  start();
  const Json answer = complete({{"model", "one"},
                                {"prompt", {{'a', 'b', 'c', 'x'}}},
                                {"temperature", 0},
                                {"max_tokens", 1},
                                {"logprobs", 1},
                                {"seed", 1234},
                                {"echo", true}});
  const Json& choice = answer["choices"][0];
  EXPECT_EQ(choice["text"], "abcxy");
  const Json& logprobs = choice["logprobs"];
  EXPECT_EQ(logprobs["tokens"], Json({"a", "b", "c", "x", "y"}));
  EXPECT_EQ(logprobs["text_offset"], Json({0, 1, 2, 3, 4}));
  ASSERT_EQ(logprobs["token_logprobs"].size(), 5u);
  EXPECT_TRUE(logprobs["token_logprobs"][0].is_null());
  EXPECT_TRUE(logprobs["top_logprobs"][0].is_null());
  EXPECT_EQ(logprobs["token_logprobs"][2], -0.25);
  EXPECT_EQ(logprobs["token_logprobs"][3], ByteModel::logprob_of('c', 'x'));
  EXPECT_EQ(logprobs["top_logprobs"][2], Json({{"c", -0.25}}));
  EXPECT_EQ(logprobs["top_logprobs"][3],
            Json({{"d", -0.25}, {"x", ByteModel::logprob_of('c', 'x')}}));
  EXPECT_EQ(answer["usage"]["completion_tokens"], 1);
  EXPECT_EQ(ByteModel::num_steps, 0);  // one pass did it all
}

TEST_F(ServerTest, EchoWithABeginningOfText) {
  has_bos_ = true;
  start();
  const Json answer = complete(
      {{"prompt", "ab"}, {"max_tokens", 0}, {"logprobs", 0}, {"echo", true}});
  const Json& logprobs = answer["choices"][0]["logprobs"];
  EXPECT_EQ(logprobs["tokens"], Json({"a", "b"}));
  EXPECT_EQ(logprobs["token_logprobs"][0], ByteModel::logprob_of(257, 'a'));
  EXPECT_EQ(logprobs["top_logprobs"][1], Json({{"b", -0.25}}));
  EXPECT_EQ(answer["usage"]["prompt_tokens"], 3);
  const Json both = complete({{"prompt", {"ab", "x"}},
                              {"max_tokens", 3},
                              {"logprobs", 1},
                              {"temperature", 0},
                              {"echo", true}});
  EXPECT_EQ(both["choices"][1]["text"], "xech");
  EXPECT_EQ(both["choices"][1]["logprobs"]["tokens"],
            Json({"x", "e", "c", "h"}));
  const Json plain = complete(
      {{"prompt", "ab"}, {"max_tokens", 2}, {"echo", true}, {"stream", false}});
  EXPECT_EQ(plain["choices"][0]["text"], "abec");
}

TEST_F(ServerTest, AStreamIsTheWholeInParts) {
  start();
  const auto parts = events(
      post("/v1/completions", {{"prompt", {"a", "b"}},
                               {"temperature", 0},
                               {"max_tokens", 8},
                               {"echo", true},
                               {"stream", true},
                               {"stream_options", {{"include_usage", true}}}}));
  std::map<int, std::string> texts, reasons;
  for (const Json& event : parts) {
    for (const Json& choice : event["choices"]) {
      const int index = choice["index"].get<int>();
      EXPECT_EQ(reasons[index], "");
      texts[index] += choice["text"].get<std::string>();
      if (!choice["finish_reason"].is_null()) {
        reasons[index] = choice["finish_reason"].get<std::string>();
      }
    }
  }
  EXPECT_EQ(texts[0], "aecho of ");
  EXPECT_EQ(texts[1], "becho of ");
  EXPECT_EQ(reasons[0], "length");
  EXPECT_GT(parts.size(), 10u);
  EXPECT_EQ(parts.back()["usage"]["completion_tokens"], 16);
  EXPECT_TRUE(parts.back()["choices"].empty());

  const auto scored = events(post(
      "/v1/completions",
      {{"prompt", "a"}, {"logprobs", 1}, {"max_tokens", 3}, {"stream", true}}));
  ASSERT_EQ(scored.size(), 1u);
  EXPECT_EQ(scored[0]["choices"][0]["logprobs"]["tokens"],
            Json({"e", "c", "h"}));
}

TEST_F(ServerTest, AChatUnderItsForm) {
  start();
  const Json messages = {{{"role", "user"}, {"content", "q"}},
                         {{"role", "assistant"}, {"content", "a"}},
                         {{"role", "user"}, {"content", "r {x}"}}};
  const Json answer = chat({{"messages", messages}, {"temperature", 0}});
  EXPECT_EQ(answer["object"], "chat.completion");
  // The stop string of the layout cuts what the model echoes.
  EXPECT_EQ(answer["choices"][0]["message"]["content"], "echo of About.");
  EXPECT_EQ(answer["choices"][0]["message"]["role"], "assistant");
  EXPECT_EQ(answer["usage"]["prompt_tokens"], 30);
  const Json system = chat({{"messages",
                             {{{"role", "system"}, {"content", "S"}},
                              {{"role", "user"}, {"content", "u"}}}},
                            {"temperature", 0},
                            {"logprobs", true},
                            {"top_logprobs", 2}});
  EXPECT_EQ(system["choices"][0]["message"]["content"], "echo of S");
  const Json& content = system["choices"][0]["logprobs"]["content"];
  EXPECT_EQ(content[0]["token"], "e");
  EXPECT_EQ(content[0]["bytes"], Json({'e'}));
  EXPECT_EQ(content[0]["top_logprobs"].size(), 2u);
}

TEST_F(ServerTest, AChatsStreamIsTrimmedAsTheWhole) {
  model_.script = [](const generate::Request&) {
    return std::string("\n  some words  here \n\n");
  };
  start();
  Json body{{"messages", {{{"role", "user"}, {"content", "q"}}}}};
  EXPECT_EQ(chat(body)["choices"][0]["message"]["content"], "some words  here");
  body["stream"] = true;
  const auto parts = events(post("/v1/chat/completions", body));
  std::string text;
  EXPECT_EQ(parts[0]["choices"][0]["delta"]["role"], "assistant");
  for (const Json& event : parts) {
    text += event["choices"][0]["delta"].value("content", "");
  }
  EXPECT_EQ(text, "some words  here");
  EXPECT_EQ(parts.back()["choices"][0]["finish_reason"], "stop");
}

TEST_F(ServerTest, ModelsAndTokenizers) {
  start();
  const Json models = good(ask(TestClient::get("/v1/models")));
  ASSERT_EQ(models["data"].size(), 2u);
  EXPECT_EQ(models["data"][1]["id"], "two");
  EXPECT_EQ(models["data"][1]["parent"], "one");
  EXPECT_EQ(models["data"][1]["sampling"]["max_new_tokens"], 256);
  EXPECT_EQ(good(ask(TestClient::get("/v1/models/two")))["id"], "two");
  EXPECT_EQ(good(ask(TestClient::get("/v1/models/%74w%6F")))["id"], "two");
  for (const char* none : {"", "two%", "two%2", "%7two", "two%00", "two%20"}) {
    bad(ask(TestClient::get(str("/v1/models/", none))), 404);
  }
  EXPECT_EQ(bad(ask(TestClient::get("/v1/models/three")), 404),
            "model_not_found");
  const HttpAnswer odd = ask(TestClient::get("/v1/models/a%00x%1b[2J"));
  EXPECT_EQ(bad(odd, 404), "model_not_found");
  EXPECT_EQ(parse_json(odd.body, "answer")["error"]["message"],
            "model: expected one of one, two, found \"a\\u0000x\\u001b[2J\"");
  EXPECT_EQ(
      bad(post("/v1/completions", {{"model", "x"}, {"prompt", "a"}}), 404),
      "model_not_found");

  const Json info = good(ask(TestClient::get("/tokenizer_info")));
  EXPECT_EQ(info["eos_token"], "<end>");
  EXPECT_TRUE(info["bos_token"].is_null());
  EXPECT_THAT(info["chat_template"].get<std::string>(), HasSubstr("About."));
  EXPECT_EQ(good(post("/tokenize", {{"prompt", "a<end>"},
                                    {"add_special_tokens", false}}))["tokens"],
            Json({'a', 256}));
  EXPECT_EQ(good(post("/tokenize", {{"content", "<end>"},
                                    {"parse_special", false}}))["count"],
            5);
  const Json chat = {{{"role", "user"}, {"content", "<end>"}}};
  EXPECT_EQ(good(post("/tokenize", {{"messages", chat}}))["count"], 20);
  EXPECT_EQ(good(post("/detokenize", {{"tokens", {'h', 'i', 256}}}))["prompt"],
            "hi<end>");
  bad(post("/detokenize", {{"tokens", {258}}}), 400);
}

TEST_F(ServerTest, RefusesWhatTheModelCannotTake) {
  start();
  const auto refused = [&](const Json& body) {
    return bad(post("/v1/completions", body), 400);
  };
  EXPECT_EQ(refused({{"prompt", {1, 258}}}), "invalid_value");
  EXPECT_EQ(refused({{"prompt", "a"}, {"logit_bias", {{"258", 1}}}}),
            "invalid_value");
  EXPECT_EQ(refused({{"prompt", std::string(2000, 'a')}}),
            "context_length_exceeded");
  EXPECT_EQ(refused({{"prompt", std::vector<int>(2001, 'a')}}),
            "context_length_exceeded");
  EXPECT_EQ(refused({{"prompt", std::vector<std::string>(256, "a")},
                     {"logprobs", 20},
                     {"max_tokens", 1999}}),
            "too_many_logprobs");
  EXPECT_EQ(refused({{"prompt",
                      std::vector<std::string>(256, std::string(1999, 'a'))},
                     {"echo", true},
                     {"logprobs", 20},
                     {"max_tokens", 0}}),
            "too_many_logprobs");
  EXPECT_EQ(
      bad(post("/detokenize", {{"tokens", std::vector<int>(300000, 'a')}}),
          400),
      "invalid_value");
  EXPECT_EQ(refused({{"prompt", ""}, {"echo", true}, {"logprobs", 1}}),
            "invalid_value");
  complete({{"prompt", std::string(1999, 'a')}, {"max_tokens", 50}});
  complete({{"prompt", std::string(2000, 'a')},
            {"max_tokens", 0},
            {"echo", true},
            {"logprobs", 0}});
  EXPECT_EQ(bad(ask(TestClient::get("/nothing")), 404), "not_found");
  bad(ask(TestClient::get("/v1/completions")), 405);
  bad(post("/health", Json::object()), 405);
}

TEST_F(ServerTest, HealthAndMetrics) {
  start();
  EXPECT_EQ(good(ask(TestClient::get("/health?x=1")))["status"], "ok");
  complete({{"prompt", "abc"}, {"temperature", 0}, {"max_tokens", 5}});
  bad(ask(TestClient::get("/a\"b")), 404);
  const std::string text = ask(TestClient::get("/metrics")).body;
  for (const char* line :
       {"selfalign_requests_total{path=\"/v1/completions\",status=\"200\"} 1\n",
        "selfalign_requests_total{path=\"other\",status=\"404\"} 1\n",
        "selfalign_tokens_total{model=\"one\",kind=\"prompt\"} 3\n",
        "selfalign_tokens_total{model=\"one\",kind=\"completion\"} 5\n",
        "selfalign_rows_queued{model=\"two\"} 0\n",
        "selfalign_request_seconds_bucket{path=\"/v1/completions\",le=\"+Inf\"}"
        " 1\n",
        "selfalign_request_seconds_count{path=\"/v1/completions\"} 1\n"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

}  // namespace
}  // namespace selfalign::serve
