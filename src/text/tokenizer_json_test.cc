// SPDX-License-Identifier: Apache-2.0
#include "text/tokenizer_json.h"

#include <gmock/gmock.h>

#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "text/byte_bpe.h"

namespace selfalign::text {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string new_folder() {
  const auto* info = testing::UnitTest::GetInstance()->current_test_info();
  const std::string folder =
      testing::TempDir() + "/tokenizer_json_" + info->name();
  std::filesystem::remove_all(folder);
  make_folder(folder);
  return folder;
}

// 256 byte tokens, "ab" (256), " a" (257), special "</s>" (258), "<s>" (259).
Json small_file() {
  Json vocab = Json::object();
  for (int b = 0; b < 256; ++b) {
    vocab[bytes_to_alphabet(std::string(1, static_cast<char>(b)))] = b;
  }
  vocab["ab"] = 256;
  vocab["\u0120a"] = 257;
  const auto added = [](int id, const char* text) {
    return Json{{"id", id},
                {"content", text},
                {"special", true},
                {"normalized", false}};
  };
  return Json{
      {"added_tokens", Json::array({added(258, "</s>"), added(259, "<s>")})},
      {"normalizer", nullptr},
      {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}}},
      {"post_processor", nullptr},
      {"model",
       {{"type", "BPE"},
        {"vocab", vocab},
        {"merges", Json::array({"a b", Json::array({"\u0120", "a"})})}}}};
}

std::unique_ptr<Tokenizer> load(const Json& json, const std::string& folder) {
  const std::string path = folder + "/tokenizer.json";
  write_file_atomic(path, json.dump());
  return read_tokenizer_json(path);
}

std::string error_of(const Json& json) {
  try {
    load(json, new_folder());
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    return error.what();
  }
  return "no error";
}

TEST(TokenizerJson, ReadsBothFormsOfMerges) {
  const auto t = load(small_file(), new_folder());
  EXPECT_THAT(t->encode("ab a</s>", true), ElementsAre(256, 257, 258));
  EXPECT_EQ(t->bos(), 259);
  EXPECT_EQ(t->eos(), 258);
  EXPECT_FALSE(t->adds_bos());
}

TEST(TokenizerJson, PartsOfThePipeline) {
  Json json = small_file();
  json["normalizer"] = {
      {"type", "Sequence"},
      {"normalizers",
       Json::array({{{"type", "NFC"}}, {{"type", "Lowercase"}}})}};
  json["pre_tokenizer"] = Json::parse(R"({"type": "Sequence", "pretokenizers": [
      {"type": "Digits", "individual_digits": true},
      {"type": "Split", "pattern": {"String": "b"}, "behavior": "Removed"},
      {"type": "ByteLevel", "add_prefix_space": true, "use_regex": false}]})");
  const auto t = load(json, new_folder());
  EXPECT_THAT(t->encode("AB1"), ElementsAre(257, ' ', '1'));
}

TEST(TokenizerJson, FilesBesideItNameTheEnds) {
  const std::string folder = new_folder();
  write_file_atomic(folder + "/tokenizer_config.json",
                    R"({"bos_token": {"content": "</s>"}, "eos_token": "<s>",
                        "add_bos_token": true})");
  auto t = load(small_file(), folder);
  EXPECT_EQ(t->bos(), 258);
  EXPECT_EQ(t->eos(), 259);
  EXPECT_TRUE(t->adds_bos());
  write_file_atomic(folder + "/generation_config.json",
                    R"({"bos_token_id": 1, "eos_token_id": [7, 8]})");
  t = load(small_file(), folder);
  EXPECT_EQ(t->bos(), 1);
  EXPECT_EQ(t->eos(), 7);
  EXPECT_THAT(t->end_tokens(), ElementsAre(7, 8, 258));
  write_file_atomic(folder + "/generation_config.json",
                    R"({"eos_token_id": "x"})");
  EXPECT_THROW(load(small_file(), folder), Error);
}

TEST(TokenizerJson, PostProcessorMayAddBos) {
  Json json = small_file();
  json["post_processor"] = Json::parse(R"({"type": "Sequence", "processors": [
      {"type": "ByteLevel"}, {"type": "TemplateProcessing", "single": [
        {"SpecialToken": {"id": "<s>", "type_id": 0}},
        {"Sequence": {"id": "A", "type_id": 0}}]}]})");
  const auto t = load(json, new_folder());
  EXPECT_TRUE(t->adds_bos());
  EXPECT_EQ(t->bos(), 259);
  EXPECT_THAT(t->encode("ab"), ElementsAre(256));  // the caller adds it
}

TEST(TokenizerJson, UnknownKindsAreNamed) {
  const auto with = [](const char* pointer, const Json& value) {
    Json json = small_file();
    json[Json::json_pointer(pointer)] = value;
    return error_of(json);
  };
  EXPECT_THAT(with("/model/type", "WordPiece"), HasSubstr("WordPiece"));
  EXPECT_THAT(with("/model/type", "Unigram"), HasSubstr("an array of pieces"));
  EXPECT_THAT(with("/normalizer", {{"type", "Bert"}}), HasSubstr("Bert"));
  EXPECT_THAT(with("/normalizer",
                   {{"type", "Precompiled"}, {"precompiled_charsmap", "AA=="}}),
              HasSubstr("precompiled_charsmap"));
  EXPECT_THAT(with("/normalizer",
                   {{"type", "Precompiled"}, {"precompiled_charsmap", "?"}}),
              HasSubstr("base64"));
  EXPECT_THAT(with("/pre_tokenizer", {{"type", "UnicodeScripts"}}),
              HasSubstr("UnicodeScripts"));
  EXPECT_THAT(
      with("/pre_tokenizer", {{"type", "Metaspace"}, {"replacement", "ab"}}),
      HasSubstr("one character"));
  EXPECT_THAT(with("/pre_tokenizer", {{"type", "Metaspace"},
                                      {"replacement", "_"},
                                      {"add_prefix_space", false},
                                      {"prepend_scheme", "first"}}),
              HasSubstr("prepend_scheme"));
  EXPECT_THAT(with("/decoder", {{"type", "WordPiece"}}),
              HasSubstr("WordPiece"));
  EXPECT_THAT(with("/post_processor", {{"type", "BertProcessing"}}),
              HasSubstr("'cls'"));
  EXPECT_THAT(with("/post_processor", {{"type", "Other"}}), HasSubstr("Other"));
  EXPECT_THAT(with("/model/byte_fallback", true), HasSubstr("byte_fallback"));
  EXPECT_THAT(with("/model/end_of_word_suffix", "</w>"), HasSubstr("</w>"));
  EXPECT_THAT(with("/model/unk_token", "<none>"), HasSubstr("<none>"));
  EXPECT_THAT(with("/model/merges", Json::array({"a b c"})),
              HasSubstr("a b c"));
  EXPECT_THAT(with("/model/merges", nullptr), HasSubstr("merges"));
  EXPECT_THAT(with("/model/vocab", 3), HasSubstr("vocab"));
  EXPECT_THAT(with("/model/vocab/ab", 4'000'000'000), HasSubstr("ids below"));
  EXPECT_THAT(with("/model/vocab/ab", -1), HasSubstr("-1"));
  EXPECT_THAT(with("/added_tokens/0/id", -1), HasSubstr("ids below"));
  EXPECT_THAT(with("/added_tokens", 1), HasSubstr("added_tokens"));
  EXPECT_THAT(with("/normalizer",
                   {{"type", "Sequence"},
                    {"normalizers", std::vector<Json>(33, {{"type", "NFC"}})}}),
              HasSubstr("at most 32 normalizers"));
  EXPECT_THAT(error_of(Json::array()), HasSubstr("'model'"));
}

TEST(TokenizerJson, DamagedTextIsAnError) {
  const std::string path = new_folder() + "/tokenizer.json";
  const std::string text = small_file().dump();
  for (size_t cut = 0; cut < text.size(); cut += 97) {
    write_file_atomic(path, text.substr(0, cut));
    EXPECT_THROW(read_tokenizer_json(path), Error) << cut;
  }
  write_file_atomic(path, std::string(200'000, '['));
  EXPECT_THROW(read_tokenizer_json(path), Error);
}

TEST(TokenizerJson, EqualsTheReferenceFamilies) {
  const std::string root = "../shared/reference/tokenizers/";
  if (!std::filesystem::exists(root)) {
    GTEST_SKIP() << root << " is absent";
  }
  for (const std::string family : {"gpt2", "starcoder", "llama3_style"}) {
    const auto t = read_tokenizer_json(root + family + "/tokenizer.json");
    const std::string path = root + family + "/cases.json";
    const Json cases = parse_json(read_file(path), path);
    EXPECT_GE(cases.size(), 60u);
    for (const Json& each : cases) {
      const std::string text = each["text"];
      const std::vector<int> expected = each["ids"];
      EXPECT_EQ(t->encode(text, true), expected) << family << ": " << text;
      EXPECT_EQ(t->decode(expected, true), each["decoded"].get<std::string>());
    }
    EXPECT_EQ(t->eos(), t->token_id("<|endoftext|>"));
  }
}

}  // namespace
}  // namespace selfalign::text
