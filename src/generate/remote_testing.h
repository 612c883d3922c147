// SPDX-License-Identifier: Apache-2.0
// A remote generator against a server inside the test.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/json.h"
#include "base/log.h"
#include "base/testing.h"
#include "generate/remote.h"
#include "generate/testing_server.h"

namespace selfalign::generate {

inline constexpr char kModels[] = R"({"data":[{"id":"tiny"}]})";

inline std::string completion_body(const std::string& text,
                                   const std::string& finish = "stop") {
  return dump_json(
      Json{{"choices", {{{"text", text}, {"finish_reason", finish}}}},
           {"usage", {{"completion_tokens", 2}, {"prompt_tokens", 5}}}});
}

// Answers every prompt with itself in brackets.
inline TestReply answer_prompt(const Json& body) {
  return {.body = completion_body(
              str("[", body.at("prompt").get<std::string>(), "]"))};
}

class RemoteTest : public ::testing::Test {
 protected:
  RemoteTest() { set_log_level(LogLevel::kError); }
  ~RemoteTest() override {
    set_log_level(LogLevel::kInfo);
    set_interrupted(false);
  }

  // `on_completion` answers what is sent to `endpoint`; models are listed.
  void serve(std::function<TestReply(const Json&)> on_completion,
             const std::string& endpoint = "/completions") {
    server_ = std::make_unique<TestServer>(
        [this, on_completion, endpoint](const TestRequest& request) {
          const std::lock_guard<std::mutex> lock(mutex_);
          headers_ = request.headers;
          targets_.push_back(request.target);
          if (request.target == "/v1/models") return TestReply{.body = kModels};
          if (request.target != "/v1" + endpoint)
            return TestReply{.status = 404};
          bodies_.push_back(parse_json(request.body, "request"));
          return on_completion(bodies_.back());
        });
  }

  RemoteOptions options() const {
    RemoteOptions options;
    options.model = server_->url();
    options.api = "completions";
    options.http.num_in_flight = 4;
    options.http.first_backoff_s = 0.01;
    options.http.max_backoff_s = 0.02;
    options.http.max_tries = 4;
    return options;
  }

  // The same with fewer tries.
  RemoteOptions hasty() const {
    RemoteOptions options = this->options();
    options.http.max_tries = 3;
    options.http.max_bad_answers = 2;
    return options;
  }

  std::map<uint64_t, Completion> run(const RemoteOptions& options,
                                     int num_rows) {
    const auto generator = make_remote_generator(options);
    const auto prefix = std::make_shared<const std::string>("Q");
    std::map<uint64_t, Completion> all;
    uint64_t key = 0;
    generator->generate(
        [&]() -> std::optional<Request> {
          if (key == static_cast<uint64_t>(num_rows)) return std::nullopt;
          Request request;
          request.key = key++;
          request.prefix = prefix;
          request.suffix = std::to_string(request.key);
          return request;
        },
        [&](Completion c) { all.emplace(c.key, std::move(c)); });
    return all;
  }

  std::string error_of(const RemoteOptions& options, int num_rows = 1) {
    return message_of([&] { run(options, num_rows); });
  }

  void expect_right(const std::map<uint64_t, Completion>& all,
                    size_t num_rows) {
    EXPECT_EQ(all.size(), num_rows);
    for (const auto& [key, completion] : all) {
      EXPECT_EQ(completion.text, str("[Q", key, "]"));
    }
  }

  // The completion of a request, alone.
  Completion complete(const RemoteOptions& options, const Request& request) {
    const auto generator = make_remote_generator(options);
    std::optional<Request> next = request;
    Completion completion;
    generator->generate([&] { return std::exchange(next, std::nullopt); },
                        [&](Completion c) { completion = std::move(c); });
    return completion;
  }

  // What the server was asked so far: it may still be asked by a client that
  // has given up.
  std::vector<Json> bodies() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return bodies_;
  }
  std::vector<std::string> targets() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return targets_;
  }
  std::string headers() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return headers_;
  }
  void forget_bodies() {
    const std::lock_guard<std::mutex> lock(mutex_);
    bodies_.clear();
  }

 private:
  std::mutex mutex_;  // held while the server answers
  std::vector<Json> bodies_;
  std::vector<std::string> targets_;
  std::string headers_;

 protected:
  std::unique_ptr<TestServer> server_;
};

}  // namespace selfalign::generate
