// SPDX-License-Identifier: Apache-2.0
// The whole server over real sockets, on models of bytes.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/number.h"
#include "recipe/testing.h"
#include "serve/http_server.h"
#include "serve/service.h"
#include "serve/testing.h"

namespace selfalign::serve {

class ServerTest : public testing::Test {
 protected:
  void SetUp() override { ByteModel::reset_counts(); }
  void TearDown() override { stop(); }

  void start() {
    http_.port = 0;
    metrics_.emplace(Service::paths());
    server_.emplace(http_, *metrics_);
    std::vector<ModelSpec> specs;
    for (const char* id : {"one", "two"}) {
      ModelSpec spec;
      spec.id = id;
      spec.parent = specs.empty() ? "" : "one";
      spec.generator = std::make_unique<ByteModel>(model_);
      spec.tokenizer = std::make_shared<ByteTokenizer>(has_bos_, on_encode_);
      spec.max_context = 2000;
      spec.chat = recipe::chat_layout();
      specs.push_back(std::move(spec));
    }
    service_.emplace(std::move(specs), options_, *metrics_);
    server_->when_stopping([this] { service_->drain(); });
    thread_ = std::thread([this] {
      server_->run([this](const std::shared_ptr<Exchange>& exchange) {
        service_->handle(exchange);
      });
    });
  }
  void stop() {
    if (!thread_.joinable()) return;
    server_->stop();
    server_->stop();
    thread_.join();
    service_.reset();
    server_.reset();
  }

  static bool becomes(const std::function<bool()>& condition,
                      std::chrono::seconds most = std::chrono::seconds(10)) {
    const auto end = std::chrono::steady_clock::now() + most;
    while (!condition() && std::chrono::steady_clock::now() < end) {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return condition();
  }
  // Answers of 1,000,000 bytes, a byte a millisecond.
  void make_endless() {
    model_.step_s = 0.001;
    model_.script = [](const generate::Request&) {
      return std::string(1000000, 'x');
    };
  }
  static std::string endless(bool stream) {
    return TestClient::post(
        "/v1/completions",
        dump_json({{"prompt", "a"}, {"max_tokens", 1900}, {"stream", stream}}));
  }

  int port() const { return server_->port(); }
  HttpAnswer ask(const std::string& request) {
    return TestClient(port()).ask(request);
  }
  HttpAnswer post(const std::string& path, const Json& body) {
    return ask(TestClient::post(path, dump_json(body)));
  }
  Json complete(const Json& body) {
    return good(post("/v1/completions", body));
  }
  Json chat(const Json& body) {
    return good(post("/v1/chat/completions", body));
  }
  static Json good(const HttpAnswer& answer) {
    EXPECT_EQ(answer.status, 200) << answer.body;
    return parse_json(answer.body, "answer");
  }
  // A figure of /metrics; 0 where there is none yet.
  int metric(const std::string& name) {
    const std::string text = ask(TestClient::get("/metrics")).body;
    const size_t at = text.find("\n" + name + " ");
    if (at == std::string::npos) return 0;
    const size_t begin = at + name.size() + 2;
    return parse_number<int>(text.substr(begin, text.find('\n', begin) - begin),
                             0)
        .value_or(-1);
  }
  // The error's code.
  static std::string bad(const HttpAnswer& answer, int status) {
    EXPECT_EQ(answer.status, status) << answer.body;
    const Json json = parse_json(answer.body, "answer");
    const Json error = json.value("error", Json::object());
    EXPECT_NE(error.value("message", ""), "");
    const Json code = error.value("code", Json());
    return code.is_null() ? "" : code.get<std::string>();
  }
  static std::vector<Json> events(const HttpAnswer& answer) {
    EXPECT_EQ(answer.status, 200);
    EXPECT_NE(answer.head.find("text/event-stream"), std::string::npos);
    std::vector<Json> all;
    std::istringstream in(answer.body);
    bool done = false;
    for (std::string line; std::getline(in, line);) {
      if (line.empty()) continue;
      EXPECT_FALSE(done);
      EXPECT_TRUE(line.starts_with("data: "));
      if (line == "data: [DONE]") {
        done = true;
      } else {
        all.push_back(parse_json(line.substr(6), "event"));
      }
    }
    EXPECT_TRUE(done);
    return all;
  }

  HttpOptions http_;
  ServiceOptions options_;
  ByteModelOptions model_;
  bool has_bos_ = false;
  std::function<void(std::string_view)> on_encode_;
  std::optional<Metrics> metrics_;
  std::optional<HttpServer> server_;
  std::optional<Service> service_;
  std::thread thread_;
};

}  // namespace selfalign::serve
