#include "cli/workbench.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/error.h"
#include "generate/testing_server.h"

namespace selfalign::cli {
namespace {

using ::testing::ElementsAre;

// A token a byte; 256 begins and 257 ends a text.
class ByteTokenizer : public text::Tokenizer {
 public:
  explicit ByteTokenizer(bool adds_bos) : adds_bos_(adds_bos) {}
  std::vector<int> encode(std::string_view text, bool) const override {
    std::vector<int> ids;
    for (const char c : text) ids.push_back(static_cast<unsigned char>(c));
    return ids;
  }
  std::string decode(const std::vector<int>& ids, bool) const override {
    std::string text;
    for (const int id : ids) text += decode_token(id, false);
    return text;
  }
  std::string decode_token(int id, bool) const override {
    return id < 256 ? std::string(1, static_cast<char>(id)) : "";
  }
  int size() const override { return 258; }
  int bos() const override { return 256; }
  int eos() const override { return 257; }
  bool adds_bos() const override { return adds_bos_; }
  const std::vector<int>& end_tokens() const override { return ends_; }
  int token_id(std::string_view) const override { return -1; }
  bool is_special(int id) const override { return id >= 256; }

 private:
  bool adds_bos_;
  std::vector<int> ends_ = {257};
};

stages::TrainingSample sample(bool ends) {
  stages::TrainingSample result;
  result.prompt = "ab";
  result.response = "cd";
  result.ends = ends;
  return result;
}

TEST(TokenizeSampleTest, TheLossStartsAfterThePrompt) {
  const auto one = tokenize_sample(ByteTokenizer(false), sample(true), 100);
  EXPECT_THAT(one.sample.tokens, ElementsAre('a', 'b', 'c', 'd', 257));
  EXPECT_EQ(one.sample.prompt_length, 2);
  EXPECT_FALSE(one.truncated);
}

TEST(TokenizeSampleTest, BosWhereTheModelHasOneAndNoEndWhereThereIsNone) {
  const auto one = tokenize_sample(ByteTokenizer(true), sample(false), 100);
  EXPECT_THAT(one.sample.tokens, ElementsAre(256, 'a', 'b', 'c', 'd'));
  EXPECT_EQ(one.sample.prompt_length, 3);
}

TEST(TokenizeSampleTest, ACutSampleTeachesNoStop) {
  const auto exact = tokenize_sample(ByteTokenizer(false), sample(true), 5);
  EXPECT_FALSE(exact.truncated);
  const auto cut = tokenize_sample(ByteTokenizer(false), sample(true), 4);
  EXPECT_TRUE(cut.truncated);
  EXPECT_THAT(cut.sample.tokens, ElementsAre('a', 'b', 'c', 'd'));
}

TEST(LocalWorkbenchTest, OpensAServersModelAndSendsTheKeyOfTheEnvironment) {
  std::string headers;
  const generate::TestServer server([&](const generate::TestRequest& request) {
    headers = request.headers;
    return generate::TestReply{.body = R"({"data": [{"id": "tiny"}]})"};
  });
  ::setenv("SELFALIGN_API_KEY", "secret-7", 1);
  stages::ModelOptions model;
  model.path = server.url() + "#tiny";
  LocalWorkbench workbench;
  const auto generator = workbench.open_generator(model, "");
  ::unsetenv("SELFALIGN_API_KEY");
  EXPECT_EQ(generator->fingerprint(), "remote tiny");
  EXPECT_THAT(headers, ::testing::HasSubstr("Bearer secret-7\r\n"));
  EXPECT_THROW(workbench.open_generator(model, "adapter"), Error);
  EXPECT_THROW(workbench.tune(model, {}, {}, "folder"), Error);
  EXPECT_THROW(workbench.tokenizer(model.path), Error);
}

}  // namespace
}  // namespace selfalign::cli
