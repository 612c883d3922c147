// SPDX-License-Identifier: Apache-2.0
// How servers are asked to answer with an adapter.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <mutex>
#include <vector>

#include "base/testing.h"
#include "generate/remote_testing.h"

namespace selfalign::generate {
namespace {

using ::testing::HasSubstr;

constexpr char kName[] = "selfalign-engraved-0123456789ab";

class RemoteAdapterTest : public ::testing::Test {
 protected:
  RemoteAdapterTest()
      : server_(
            [this](const TestRequest& request) { return answer(request); }) {
    set_log_level(LogLevel::kError);
    replies_["/v1/models"] = {.body = kModels};
  }
  ~RemoteAdapterTest() override { set_log_level(LogLevel::kInfo); }

  std::unique_ptr<Generator> open(bool loads = true) {
    RemoteOptions options;
    options.model = server_.url();
    options.api = "completions";
    options.http.max_tries = 2;
    options.http.first_backoff_s = 0.01;
    options.adapter = {kName, "/runs/a/engraved/adapter", loads};
    return make_remote_generator(options);
  }
  // The body of a row's request, and of a score's.
  Json asked_for_a_row(Generator& generator) {
    std::optional<Request> next = Request{.key = 1, .suffix = "x"};
    generator.generate([&] { return std::exchange(next, std::nullopt); },
                       [](const Completion&) {});
    const std::lock_guard lock(mutex_);
    return parse_json(bodies_.back(), "body");
  }

  std::map<std::string, TestReply> replies_;  // by target

  std::vector<std::string> bodies() {
    const std::lock_guard lock(mutex_);
    return bodies_;
  }

 private:
  TestReply answer(const TestRequest& request) {
    const std::lock_guard lock(mutex_);
    bodies_.push_back(request.body);
    if (request.target == "/v1/completions") {
      return answer_prompt(parse_json(request.body, "request"));
    }
    const auto found = replies_.find(request.target);
    return found == replies_.end() ? TestReply{.status = 404} : found->second;
  }

  std::mutex mutex_;
  std::vector<std::string> bodies_;
  TestServer server_;
};

TEST_F(RemoteAdapterTest, VllmLoadsItByACallBelowV1) {
  replies_["/v1/load_lora_adapter"] = {.body = "Success"};
  const auto generator = open();
  const Json call = parse_json(bodies().back(), "call");
  EXPECT_EQ(call["lora_name"], kName);
  EXPECT_EQ(call["lora_path"], "/runs/a/engraved/adapter");
  EXPECT_EQ(generator->fingerprint(), str("remote ", kName));
  EXPECT_EQ(asked_for_a_row(*generator)["model"], kName);
}

TEST_F(RemoteAdapterTest, SglangLoadsItByACallBesideV1) {
  replies_["/load_lora_adapter"] = {.body = R"({"success":true})"};
  EXPECT_EQ(asked_for_a_row(*open())["model"], str("tiny:", kName));
}

TEST_F(RemoteAdapterTest, OneThatIsListedIsAskedForByItsName) {
  replies_["/v1/models"] = {.body = str(R"({"data":[{"id":"tiny"},{"id":")",
                                        kName, R"(","parent":"tiny"}]})")};
  EXPECT_EQ(asked_for_a_row(*open())["model"], kName);
  EXPECT_EQ(asked_for_a_row(*open(false))["model"], kName);
}

TEST_F(RemoteAdapterTest, LlamaCppTakesAScaleOfEachByRequest) {
  replies_["/v1/models"] = {
      .body = R"({"data":[{"id":"tiny","owned_by":"llamacpp"}]})"};
  replies_["/lora-adapters"] = {
      .body = str(R"([{"id":0,"path":"other.gguf"},{"id":1,"path":"/a/)", kName,
                  R"(.gguf"}])")};
  const auto generator = open();
  EXPECT_EQ(asked_for_a_row(*generator)["lora"],
            parse_json(R"([{"id":0,"scale":0.0},{"id":1,"scale":1.0}])", "t"));
  EXPECT_EQ(generator->fingerprint(), str("remote tiny as ", kName));
}

TEST_F(RemoteAdapterTest, AServerThatCannotIsAnErrorThatSaysHow) {
  EXPECT_EQ(kind_of([&] { open(); }), ErrorKind::kFailed);
  EXPECT_THAT(message_of([&] { open(); }), HasSubstr("serve.reload"));
  replies_["/v1/load_lora_adapter"] = {
      .status = 400, .body = R"({"message":"rank 64 is too large"})"};
  EXPECT_THAT(message_of([&] { open(); }), HasSubstr("rank 64 is too large"));
  // What a command put there has no name of its own, and is not the base.
  const auto generator = open(false);
  EXPECT_EQ(asked_for_a_row(*generator)["model"], "tiny");
  EXPECT_EQ(generator->fingerprint(), str("remote tiny as ", kName));
}

}  // namespace
}  // namespace selfalign::generate
