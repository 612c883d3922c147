// SPDX-License-Identifier: Apache-2.0
#include "formats/load_tokenizer.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <filesystem>

#include "base/file.h"
#include "base/json.h"
#include "formats/gguf.h"
#include "formats/gguf_builder.h"
#include "text/byte_bpe.h"
#include "text/sentencepiece.h"
#include "text/token_files.h"
#include "text/tokenizer_json.h"

namespace selfalign::formats {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string string_array(const std::vector<std::string>& strings) {
  std::string bytes;
  for (const std::string& text : strings) bytes += gguf_string(text);
  return bytes;
}
template <typename T>
std::string number_array(const std::vector<T>& numbers) {
  std::string bytes;
  for (const T number : numbers) bytes += raw(number);
  return bytes;
}

// 256 byte tokens, "ab" (256), control "<|im_end|>" (257), user's "[X]" (258).
struct SmallBpe {
  std::string model = "gpt2", pre = "smollm";
  std::vector<std::string> tokens;
  std::vector<std::string> merges = {"a b"};
  std::vector<int32_t> types = std::vector<int32_t>(257, 1);
  uint32_t eos = 257;

  SmallBpe() {
    for (int b = 0; b < 256; ++b) {
      tokens.push_back(
          text::bytes_to_alphabet(std::string(1, static_cast<char>(b))));
    }
    tokens.insert(tokens.end(), {"ab", "<|im_end|>", "[X]"});
    types.insert(types.end(), {3, 4});
  }

  std::string write() const {
    GgufBuilder file;
    file.text("tokenizer.ggml.model", model);
    if (!pre.empty()) file.text("tokenizer.ggml.pre", pre);
    file.array("tokenizer.ggml.tokens", 8, tokens.size(), string_array(tokens));
    file.array("tokenizer.ggml.merges", 8, merges.size(), string_array(merges));
    file.array("tokenizer.ggml.token_type", 5, types.size(),
               number_array(types));
    file.number("tokenizer.ggml.eos_token_id", eos);
    return test_file("tokenizer.gguf", file.bytes());
  }
};

std::string error_of(const SmallBpe& small) {
  const std::string path = small.write();
  return refusal_of([&] { load_tokenizer(path); });
}

TEST(LoadTokenizer, GgufByteBpe) {
  const auto t = load_tokenizer(SmallBpe().write());
  EXPECT_THAT(t->encode("ab12[X]<|im_end|>", true),
              ElementsAre(256, '1', '2', 258, 257));
  EXPECT_THAT(t->encode("ab[X]"), ElementsAre(256, 258));
  EXPECT_TRUE(t->is_special(257) && !t->is_special(258));
  EXPECT_EQ(t->eos(), 257);
  EXPECT_EQ(t->bos(), -1);
  EXPECT_FALSE(t->adds_bos());
}

TEST(LoadTokenizer, WithoutAPreTokenizerItsDefaultIsTakenWithAWarning) {
  SmallBpe small;
  small.pre = "";
  testing::internal::CaptureStderr();
  const auto t = load_tokenizer(small.write());
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              HasSubstr("no tokenizer.ggml.pre; cutting words as"));
  EXPECT_THAT(t->encode("ab12"), ElementsAre(256, '1', '2'));
}

TEST(LoadTokenizer, GgufMistakesAreNamed) {
  const auto with = [](auto&& change) {
    SmallBpe small;
    change(small);
    return error_of(small);
  };
  EXPECT_THAT(with([](auto& s) { s.model = "bert"; }), HasSubstr("bert"));
  EXPECT_THAT(with([](auto& s) { s.pre = "nobody"; }), HasSubstr("nobody"));
  EXPECT_THAT(with([](auto& s) { s.merges = {"ab"}; }), HasSubstr("'ab'"));
  EXPECT_THAT(with([](auto& s) { s.merges = {"q q"}; }), HasSubstr("no token"));
  EXPECT_THAT(with([](auto& s) { s.types.pop_back(); }),
              HasSubstr("token_type"));
  EXPECT_THAT(with([](auto& s) { s.types[0] = 9; }), HasSubstr("found 9"));
  EXPECT_THAT(with([](auto& s) { s.eos = 5000; }), HasSubstr("5000"));
  EXPECT_THAT(with([](auto& s) { s.eos = 4'000'000'000; }),
              HasSubstr("eos_token_id"));
}

TEST(LoadTokenizer, GgufSentencePiece) {
  const std::vector<std::string> pieces = {"<unk>", "<s>",     "</s>", "\u2581",
                                           "a",     "\u2581a", "aa"};
  GgufBuilder file;
  file.text("tokenizer.ggml.model", "llama");
  file.array("tokenizer.ggml.tokens", 8, 7, string_array(pieces));
  file.array("tokenizer.ggml.scores", 6, 7,
             number_array<float>({0, 0, 0, -3, -4, -2, -1}));
  file.array("tokenizer.ggml.token_type", 5, 7,
             number_array<int32_t>({2, 3, 3, 1, 1, 1, 1}));
  file.number("tokenizer.ggml.unknown_token_id", 0);
  file.number("tokenizer.ggml.bos_token_id", 1);
  file.number("tokenizer.ggml.eos_token_id", 2);
  const auto t = load_tokenizer(test_file("spm.gguf", file.bytes()));
  EXPECT_THAT(t->encode("a"), ElementsAre(5));
  EXPECT_THAT(t->encode("aa</s>", true), ElementsAre(3, 6, 2));
  EXPECT_TRUE(t->adds_bos());
  EXPECT_EQ(t->decode(t->encode("aa a")), "aa a");
}

// As T5 has it: the best sum of scores, and no BOS.
TEST(LoadTokenizer, GgufUnigram) {
  const std::vector<std::string> pieces = {"<pad>", "</s>", "<unk>", "\u2581",
                                           "a",     "b",    "ab",    "\u2581a"};
  GgufBuilder file;
  file.text("tokenizer.ggml.model", "t5");
  file.array("tokenizer.ggml.tokens", 8, 8, string_array(pieces));
  file.array("tokenizer.ggml.scores", 6, 8,
             number_array<float>({0, 0, 0, -2, -3, -3, -4, -3}));
  file.array("tokenizer.ggml.token_type", 5, 8,
             number_array<int32_t>({3, 3, 2, 1, 1, 1, 1, 1}));
  file.number("tokenizer.ggml.unknown_token_id", 2);
  file.number("tokenizer.ggml.eos_token_id", 1);
  const auto t = load_tokenizer(test_file("t5.gguf", file.bytes()));
  EXPECT_THAT(t->encode("ab"), ElementsAre(3, 6) /* and not 7, 5 */);
  EXPECT_THAT(t->encode("a zz"), ElementsAre(7, 3, 2));
  EXPECT_FALSE(t->adds_bos());
  EXPECT_EQ(t->eos(), 1);
  EXPECT_EQ(t->decode(t->encode("ab a")), "ab a");
}

// A byte piece that is none, and one that stands twice, in a GGUF file.
TEST(LoadTokenizer, GgufBytePiecesAreChecked) {
  const auto refusal = [](const std::string& first, const std::string& second) {
    GgufBuilder file;
    file.text("tokenizer.ggml.model", "llama");
    file.array("tokenizer.ggml.tokens", 8, 3,
               string_array({"<unk>", first, second}));
    file.array("tokenizer.ggml.scores", 6, 3, number_array<float>({0, 0, 0}));
    file.array("tokenizer.ggml.token_type", 5, 3,
               number_array<int32_t>({2, 6, 6}));
    const std::string path = test_file("bytes.gguf", file.bytes());
    return refusal_of([&] { load_tokenizer(path); });
  };
  EXPECT_EQ(refusal("<0x0A>", "<0x0B>"), "no error");
  EXPECT_THAT(refusal("<0x-1>", "<0x0B>"), HasSubstr("found '<0x-1>'"));
  EXPECT_THAT(refusal("<0x0A>", "<0x0A>"), HasSubstr("'<0x0A>' again"));
}

// Nobody writes to them, and nobody waits.
TEST(LoadTokenizer, PipesInAModelFolderAreRefused) {
  const std::string folder = testing::TempDir() + "formats_pipes";
  std::filesystem::remove_all(folder);
  make_folder(folder);
  for (const char* name : {"tokenizer.json", "tokenizer.model"}) {
    const std::string path = folder + "/" + name;
    ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
    EXPECT_THAT(refusal_of([&] { load_tokenizer(folder); }),
                HasSubstr(path + ": this is a pipe, not a regular file"));
    EXPECT_THAT(refusal_of([&] { load_tokenizer(path); }),
                HasSubstr(path + ": this is a pipe, not a regular file"));
    std::filesystem::remove(path);
  }
  for (const char* name : {"tokenizer_config.json", "special_tokens_map.json",
                           "config.json", "generation_config.json"}) {
    const std::string path = folder + "/" + name;
    ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
    EXPECT_THAT(refusal_of([&] { text::read_side_files(folder); }),
                HasSubstr(path + ": this is a pipe, not a regular file"));
    std::filesystem::remove(path);
  }
  for (const char* name : {"tokenizer.json", "tokenizer_config.json",
                           "added_tokens.json", "special_tokens_map.json"}) {
    const std::string path = folder + "/" + name;
    ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
    EXPECT_THAT(refusal_of([&] {
                  text::SentencePieceVocabulary vocabulary;
                  text::use_token_files(folder, vocabulary);
                }),
                HasSubstr(path + ": this is a pipe, not a regular file"));
    std::filesystem::remove(path);
  }
}

TEST(LoadTokenizer, PathsOfNoKnownKindAreErrors) {
  const std::string folder = testing::TempDir() + "formats_no_tokenizer";
  make_folder(folder);
  EXPECT_THAT(refusal_of([&] { load_tokenizer(folder); }),
              HasSubstr("neither tokenizer.json nor tokenizer.model"));
  EXPECT_THAT(refusal_of([] { load_tokenizer("model.bin"); }),
              HasSubstr("model.bin"));
  EXPECT_THAT(refusal_of([] { load_tokenizer("absent.gguf"); }),
              HasSubstr("absent.gguf"));
}

TEST(LoadTokenizer, Folders) {
  const std::string reference = "../shared/reference/tokenizers/";
  if (!std::filesystem::exists(reference)) {
    GTEST_SKIP() << reference << " is absent";
  }
  EXPECT_EQ(load_tokenizer(reference + "gpt2")->size(), 50257);
  EXPECT_EQ(load_tokenizer(reference + "llama2_sentencepiece")->size(), 32000);
  // Beside a tokenizer.model, a tokenizer.json with byte fallback is the same
  // SentencePiece model in another form.
  const std::string folder = testing::TempDir() + "formats_llama2";
  make_folder(folder);
  write_file_atomic(
      folder + "/tokenizer.model",
      read_file(reference + "llama2_sentencepiece/tokenizer.model"));
  write_file_atomic(folder + "/tokenizer.json",
                    R"({"model": {"type": "BPE", "byte_fallback": true}})");
  EXPECT_EQ(load_tokenizer(folder)->size(), 32000);
}

// The same lines as tools/make_tokenizer_lines.py makes.
uint64_t splitmix64(uint64_t x) {
  x += 0x9E3779B97F4A7C15u;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}
std::string make_line(uint64_t i, const std::vector<std::string>& fragments) {
  const uint64_t count = 1 + splitmix64(64 * i) % 24;
  std::string line;
  for (uint64_t j = 1; j <= count; ++j) {
    line += fragments[splitmix64(64 * i + j) % fragments.size()];
  }
  return line;
}

void add_to_digest(uint64_t& digest, uint64_t number) {  // FNV-1a
  for (int shift = 0; shift < 32; shift += 8) {
    digest = (digest ^ (number >> shift & 0xFF)) * 0x100000001B3u;
  }
}

TEST(LoadTokenizer, SmolLm2EqualsTheReferenceOnTenThousandLines) {
  const std::string model = ".deps/model/SmolLM2-135M-Instruct.Q4_1.gguf";
  if (!std::filesystem::exists(model)) {
    GTEST_SKIP() << model << " is absent (./dev setup fetches it)";
  }
  const auto t = load_tokenizer(model);
  EXPECT_EQ(t->eos(), t->token_id("<|im_end|>"));
  EXPECT_THAT(t->end_tokens(), ElementsAre(t->token_id("<|endoftext|>"),
                                           t->token_id("<|im_end|>")));
  EXPECT_FALSE(t->adds_bos());

  const std::string path = "tests/data/smollm_tokenizer.json";
  const Json golden = parse_json(read_file(path), path);
  const std::vector<std::string> fragments = golden["fragments"];
  for (size_t i = 0; i < golden["first_lines"].size(); ++i) {
    const Json& line = golden["first_lines"][i];
    const std::string text = line["text"];
    ASSERT_EQ(make_line(i, fragments), text);
    EXPECT_EQ(t->encode(text, true), line["special"].get<std::vector<int>>())
        << text;
    EXPECT_EQ(t->encode(text), line["plain"].get<std::vector<int>>()) << text;
  }
  const uint64_t block = golden["block"];
  for (const bool special : {true, false}) {
    const Json& digests = golden[special ? "special_digests" : "plain_digests"];
    ASSERT_EQ(digests.size() * block, golden["num_lines"].get<uint64_t>());
    for (uint64_t b = 0; b < digests.size(); ++b) {
      uint64_t digest = 0xCBF29CE484222325u;
      for (uint64_t i = b * block; i < (b + 1) * block; ++i) {
        const auto ids = t->encode(make_line(i, fragments), special);
        add_to_digest(digest, ids.size());
        for (const int id : ids) {
          add_to_digest(digest, static_cast<uint64_t>(id));
        }
      }
      char hex[17];
      std::snprintf(hex, sizeof(hex), "%016llx",
                    static_cast<unsigned long long>(digest));
      EXPECT_EQ(hex, digests[b].get<std::string>())
          << "lines from " << b * block;
    }
  }
}

}  // namespace
}  // namespace selfalign::formats
