// SPDX-License-Identifier: Apache-2.0
#include "formats/vocabulary_out.h"

#include <gmock/gmock.h>

#include <filesystem>

#include "base/file.h"
#include "formats/gguf.h"
#include "formats/gguf_builder.h"
#include "text/pre_tokenizer.h"

namespace selfalign::formats {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Bytes, "ab", a token that ends a text and one of the user's.
text::BpeVocabulary small_bpe(const std::string& pre) {
  text::BpeVocabulary out;
  out.where = "small";
  for (int b = 0; b < 256; ++b) {
    out.tokens.push_back(
        text::bytes_to_alphabet(std::string(1, static_cast<char>(b))));
  }
  out.tokens.insert(out.tokens.end(), {"ab", "<|im_end|>", "[X]"});
  out.merges = {{"a", "b"}};
  out.pre_tokenizer = text::pre_tokenizer_named(pre, "small");
  out.ignore_merges = pre == "llama-bpe";
  out.added.push_back({.id = 257, .text = "<|im_end|>", .special = true});
  out.added.push_back({.id = 258, .text = "[X]"});
  out.eos = 257;
  return out;
}

text::SentencePieceVocabulary small_pieces() {
  text::SentencePieceVocabulary out;
  out.where = "small";
  out.pieces = {"<unk>", "<s>", "</s>", "<0x41>", "\u2581", "a", "\u2581a"};
  out.scores = {0, 0, 0, 0, -3, -4, -2.5};
  using enum text::TokenType;
  out.types = {kUnknown, kControl, kControl, kByte, kNormal, kNormal, kNormal};
  return out;
}

std::unique_ptr<text::Tokenizer> tokenizer_of(const Vocabulary& vocabulary) {
  if (const auto* bpe = std::get_if<text::BpeVocabulary>(&vocabulary)) {
    return text::make_byte_bpe(*bpe);
  }
  return text::make_sentencepiece(
      std::get<text::SentencePieceVocabulary>(vocabulary));
}

std::string gguf_of(const Vocabulary& vocabulary, int64_t num_rows) {
  GgufEntries entries;
  put_gguf_vocabulary(vocabulary, *tokenizer_of(vocabulary), num_rows, entries);
  const std::string path = testing::TempDir() + "formats_vocabulary.gguf";
  GgufWriter(path, entries, {}).write_tensors();
  return path;
}

constexpr char kText[] = "ab abc 1234 it's [X]<|im_end|>  \n\n Ärger\t$5";

TEST(VocabularyOut, ByteBpeThroughBothForms) {
  for (const char* pre : {"gpt2", "smollm", "llama-bpe", "qwen2", "default"}) {
    SCOPED_TRACE(pre);
    const Vocabulary vocabulary = small_bpe(pre);
    const auto want = tokenizer_of(vocabulary);
    const std::string path = gguf_of(vocabulary, 262);
    const auto file = GgufFile::open(path);
    EXPECT_EQ(file->size_of("tokenizer.ggml.tokens"), 262u);
    EXPECT_EQ(file->get_strings("tokenizer.ggml.tokens")[260], "[PAD260]");
    EXPECT_EQ(file->get_ints("tokenizer.ggml.token_type")[257], 3);
    EXPECT_EQ(file->get_ints("tokenizer.ggml.token_type")[260], 5);
    const auto from_gguf = load_tokenizer(path);
    const ScratchFolder folder;
    EXPECT_THAT(write_hf_vocabulary(folder.path(), vocabulary, *want,
                                    {{"chat_template", "x"}}),
                ElementsAre("tokenizer.json", "tokenizer_config.json"));
    const auto from_folder = load_tokenizer(folder.path());
    for (const bool special : {false, true}) {
      EXPECT_EQ(from_gguf->encode(kText, special),
                want->encode(kText, special));
      EXPECT_EQ(from_folder->encode(kText, special),
                want->encode(kText, special));
    }
    EXPECT_EQ(from_gguf->eos(), 257);
    EXPECT_EQ(from_folder->eos(), 257);
    EXPECT_FALSE(from_folder->adds_bos());
    const std::string config = folder.path() + "/tokenizer_config.json";
    EXPECT_EQ(parse_json(read_file(config), config)["chat_template"], "x");
  }
}

TEST(VocabularyOut, BosIsPutBeforeATextInBothForms) {
  text::BpeVocabulary vocabulary = small_bpe("llama-bpe");
  vocabulary.bos = 257;
  vocabulary.adds_bos = true;
  const auto want = tokenizer_of(vocabulary);
  EXPECT_TRUE(load_tokenizer(gguf_of(vocabulary, 259))->adds_bos());
  const ScratchFolder folder;
  write_hf_vocabulary(folder.path(), vocabulary, *want, Json::object());
  const auto found = load_tokenizer(folder.path());
  EXPECT_TRUE(found->adds_bos());
  EXPECT_EQ(found->bos(), 257);
}

TEST(VocabularyOut, SentencePieceThroughBothForms) {
  text::SentencePieceVocabulary vocabulary = small_pieces();
  const auto want = tokenizer_of(vocabulary);
  const ScratchFolder folder;
  EXPECT_THAT(
      write_hf_vocabulary(folder.path(), vocabulary, *want, Json::object()),
      ElementsAre("tokenizer.model", "tokenizer_config.json"));
  // A token beyond the pieces, as added_tokens.json has one.
  vocabulary.added.push_back({.id = 7, .text = "<pad>", .special = true});
  for (const auto& found : {load_tokenizer(gguf_of(vocabulary, 9)),
                            load_tokenizer(folder.path())}) {
    EXPECT_EQ(found->encode("aa A a</s>", true),
              want->encode("aa A a</s>", true));
    EXPECT_EQ(found->eos(), 2);
    EXPECT_TRUE(found->adds_bos());
  }
  EXPECT_THAT(load_tokenizer(gguf_of(vocabulary, 9))->encode("<pad>", true),
              ElementsAre(7));
}

TEST(VocabularyOut, WhatGgufHasNoWordForIsRefused) {
  text::BpeVocabulary vocabulary = small_bpe("gpt2");
  vocabulary.pre_tokenizer.push_back(text::digits_step(true));
  EXPECT_THAT(message_of([&] { gguf_of(vocabulary, 259); }),
              HasSubstr("small: its pre-tokenizer has no name in GGUF"));
  vocabulary = small_bpe("gpt2");
  vocabulary.ignore_merges = true;
  EXPECT_THAT(message_of([&] { gguf_of(vocabulary, 259); }),
              HasSubstr("ignore_merges: expected false"));
  vocabulary = small_bpe("gpt2");
  vocabulary.normalizers = {text::TextForm::kLower};
  EXPECT_THAT(message_of([&] { gguf_of(vocabulary, 259); }),
              HasSubstr("a normalizer other than NFC"));
  EXPECT_THAT(message_of([&] { gguf_of(small_bpe("gpt2"), 200); }),
              HasSubstr("expected a tokenizer of at most 200 tokens"));
  text::SentencePieceVocabulary pieces = small_pieces();
  pieces.remove_extra_whitespaces = true;
  EXPECT_THAT(message_of([&] { gguf_of(pieces, 7); }),
              HasSubstr("white space that is kept"));
}

TEST(VocabularyOut, SmolLm2AsAFolder) {
  const std::string model = ".deps/model/SmolLM2-135M-Instruct.Q4_1.gguf";
  if (!std::filesystem::exists(model)) {
    GTEST_SKIP() << model << " is absent (./dev setup fetches it)";
  }
  const ScratchFolder folder;
  const auto want = load_tokenizer(model);
  write_hf_vocabulary(folder.path(), load_vocabulary(model), *want,
                      Json::object());
  const auto found = load_tokenizer(folder.path());
  EXPECT_EQ(found->encode(kText, true), want->encode(kText, true));
  EXPECT_EQ(found->eos(), want->eos());
}

}  // namespace
}  // namespace selfalign::formats
