// SPDX-License-Identifier: Apache-2.0
#include "text/sentencepiece.h"

#include <gmock/gmock.h>

#include <cstring>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/random.h"

namespace selfalign::text {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::string kMark = "\u2581";

// ids: 0 unknown, 1 <s>, 2 </s>, 3..258 bytes, then as listed.
SentencePieceVocabulary small_world() {
  SentencePieceVocabulary v;
  v.where = "small world";
  const auto add = [&](const std::string& piece, float score, TokenType type) {
    v.pieces.push_back(piece);
    v.scores.push_back(score);
    v.types.push_back(type);
  };
  add("<unk>", 0, TokenType::kUnknown);
  add("<s>", 0, TokenType::kControl);
  add("</s>", 0, TokenType::kControl);
  for (int b = 0; b < 256; ++b) {
    char piece[8];
    std::snprintf(piece, sizeof(piece), "<0x%02X>", b);
    add(piece, 0, TokenType::kByte);
  }
  const std::vector<std::string> normal = {kMark + "a",   "ab", kMark, "a", "b",
                                           kMark + kMark, "é"};
  for (size_t i = 0; i < normal.size(); ++i) {
    add(normal[i], -static_cast<float>(i), TokenType::kNormal);
  }
  add("<user>", 0, TokenType::kUserDefined);
  return v;
}
constexpr int kMarkA = 259, kAb = 260, kSpace = 261, kA = 262, kB = 263;
constexpr int kTwoSpaces = 264, kAcute = 265, kUser = 266;
constexpr int kByte0 = 3;

TEST(SentencePiece, JoinsByScore) {
  const auto t = make_sentencepiece(small_world());
  EXPECT_THAT(t->encode("ab"), ElementsAre(kMarkA, kB));  // before "ab"
  EXPECT_THAT(t->encode("bab"), ElementsAre(kSpace, kB, kAb));
  EXPECT_THAT(t->encode(" b"), ElementsAre(kTwoSpaces, kB));
  EXPECT_THAT(t->encode("é"), ElementsAre(kSpace, kAcute));
  EXPECT_THAT(t->encode("aa b"), ElementsAre(kMarkA, kA, kSpace, kB));
  EXPECT_THAT(t->encode(""), ElementsAre());
  EXPECT_EQ(t->decode(t->encode("ab  é b")), "ab  é b");
}

TEST(SentencePiece, OnlyAStartHasTheDummyPrefix) {
  const auto t = make_sentencepiece(small_world());
  EXPECT_THAT(t->encode_continuation("ab"), ElementsAre(kAb));
  EXPECT_THAT(t->encode_continuation(" ab"), ElementsAre(kMarkA, kB));
  EXPECT_THAT(t->encode_continuation("\n\n"),
              ElementsAre(kByte0 + 10, kByte0 + 10));
  EXPECT_THAT(t->encode_continuation(""), ElementsAre());
  EXPECT_THAT(t->encode_continuation("a<user>b"), ElementsAre(kA, kUser, kB));
  SentencePieceVocabulary v = small_world();
  v.remove_extra_whitespaces = true;
  EXPECT_THAT(make_sentencepiece(v)->encode_continuation("   a  b "),
              ElementsAre(kMarkA, kSpace, kB));
}

TEST(SentencePiece, FallsBackToBytes) {
  const auto t = make_sentencepiece(small_world());
  EXPECT_THAT(t->encode("\n"), ElementsAre(kSpace, kByte0 + 10));
  EXPECT_THAT(t->encode("\xFF"), ElementsAre(kSpace, kByte0 + 0xFF));
  const std::string bytes("a\xE2\x82\0 中", 8);
  EXPECT_EQ(t->decode(t->encode(bytes)), bytes);
  SentencePieceVocabulary v = small_world();
  v.byte_fallback = false;
  const auto plain = make_sentencepiece(v);
  EXPECT_THAT(plain->encode("xy"), ElementsAre(kSpace, 0));
  EXPECT_EQ(plain->decode_token(0), " \u2047 ");
}

TEST(SentencePiece, ControlPiecesOnlyOnRequest) {
  const auto t = make_sentencepiece(small_world());
  EXPECT_THAT(t->encode("<s>a</s>", true), ElementsAre(1, kMarkA, 2));
  EXPECT_EQ(t->decode({1, kMarkA, 2}), "a");
  EXPECT_EQ(t->decode({1, kMarkA, 2}, true), "<s>a</s>");
  const auto plain = t->encode("<s>");
  EXPECT_EQ(std::count(plain.begin(), plain.end(), 1), 0);
  EXPECT_THAT(t->encode("a<user>b"), ElementsAre(kMarkA, kUser, kB));
  EXPECT_THAT(t->end_tokens(), ElementsAre(2));
  EXPECT_TRUE(t->adds_bos() && t->bos() == 1 && t->eos() == 2);
}

TEST(SentencePiece, ExtraWhiteSpaceGoesIfTheModelSaysSo) {
  SentencePieceVocabulary v = small_world();
  v.remove_extra_whitespaces = true;
  const auto t = make_sentencepiece(v);
  EXPECT_THAT(t->encode("  a   b "), ElementsAre(kMarkA, kSpace, kB));
  EXPECT_THAT(t->encode("  "), ElementsAre());
}

// The best sum, and not the best pair first.
TEST(SentencePiece, Unigram) {
  SentencePieceVocabulary v = small_world();
  v.is_unigram = true;
  const auto t = make_sentencepiece(v);
  EXPECT_THAT(t->encode("ab"), ElementsAre(kSpace, kAb));  // -3, not -4
  EXPECT_THAT(t->encode("a"), ElementsAre(kMarkA));
  EXPECT_THAT(t->encode_continuation("a<user>b"), ElementsAre(kA, kUser, kB));
  EXPECT_THAT(t->encode("\n"), ElementsAre(kSpace, kByte0 + 10));
  EXPECT_EQ(t->decode(t->encode("ab  \u00e9\xff z")), "ab  \u00e9\xff z");
  v.byte_fallback = false;
  EXPECT_THAT(make_sentencepiece(v)->encode("xyza"),
              ElementsAre(kSpace, 0, kA));
}

// A character that is no piece by itself may be part of one.
TEST(SentencePiece, CharactersMergeThoughTheyAreNoPieces) {
  SentencePieceVocabulary v = small_world();
  v.pieces.push_back("xa");
  v.scores.push_back(-1);
  v.types.push_back(TokenType::kNormal);
  const auto t = make_sentencepiece(v);
  EXPECT_THAT(t->encode_continuation("xa"), ElementsAre(267));
  EXPECT_THAT(t->encode_continuation("xb"), ElementsAre(kByte0 + 'x', kB));
}

TEST(SentencePiece, UnsoundVocabulariesAreErrors) {
  const auto expect_error = [](auto&& change) {
    SentencePieceVocabulary v = small_world();
    change(v);
    EXPECT_THROW(make_sentencepiece(std::move(v)), Error);
  };
  expect_error([](auto& v) { v.scores.pop_back(); });
  expect_error([](auto& v) { v.types.pop_back(); });
  for (const char* byte : {"<0xZZ>", "<0x-1>", "<0x 1>", "<0x1>", "<0x0001>",
                           "<0x0a>", "x0x01>"}) {
    expect_error([&](auto& v) { v.pieces[5] = byte; });
  }
  // Two pieces of one byte: which of them it was trained with nobody knows.
  expect_error([](auto& v) { v.pieces[5] = v.pieces[6]; });
  expect_error([](auto& v) { v.eos = 9999; });
  expect_error([](auto& v) { v.end_tokens = {9999}; });
  expect_error([](auto& v) { v.scores[300 % v.scores.size()] = NAN; });
  const auto t = make_sentencepiece(small_world());
  EXPECT_THROW(t->decode({267}), Error);
  EXPECT_THROW(t->decode_token(-1), Error);
}

// As the reference has it: a character whose bytes are not all there is
// unknown.
TEST(SentencePiece, ABytePieceMayBeMissing) {
  SentencePieceVocabulary v = small_world();
  v.types[3 + 0xC3] = TokenType::kUnused;
  v.pieces[3 + 0xC3] = "gone";
  const auto t = make_sentencepiece(std::move(v));
  EXPECT_EQ(t->encode("\u00f6").back(), 0);
  EXPECT_EQ(t->encode("\u0100").back(), 3 + 0x80);
}

// Protobuf's wire format, enough to write a model.
std::string varint(uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) {
    out += static_cast<char>(0x80 | (value & 0x7F));
  }
  return out + static_cast<char>(value);
}
std::string number_field(uint32_t number, uint64_t value) {
  return varint(number << 3) + varint(value);
}
std::string bytes_field(uint32_t number, const std::string& bytes) {
  return varint(number << 3 | 2) + varint(bytes.size()) + bytes;
}
std::string float_field(uint32_t number, float value) {
  std::string bytes(4, '\0');
  std::memcpy(bytes.data(), &value, 4);
  return varint(number << 3 | 5) + bytes;
}

std::string model_file(const std::string& trainer,
                       const std::string& normalizer) {
  const SentencePieceVocabulary v = small_world();
  std::string out;
  for (size_t i = 0; i < v.pieces.size(); ++i) {
    out += bytes_field(
        1, bytes_field(1, v.pieces[i]) + float_field(2, v.scores[i]) +
               number_field(3, static_cast<uint64_t>(v.types[i])));
  }
  return out + bytes_field(2, trainer) + bytes_field(3, normalizer);
}
const std::string kTrainer = number_field(3, 2) + number_field(35, 1) +
                             number_field(40, 0) + number_field(41, 1) +
                             number_field(42, ~uint64_t{0});

TEST(SentencePieceModel, Reads) {
  const auto v =
      parse_sentencepiece(model_file(kTrainer, number_field(4, 0)), "m");
  const auto expected = small_world();
  EXPECT_EQ(v.pieces, expected.pieces);
  EXPECT_EQ(v.scores, expected.scores);
  EXPECT_EQ(v.types, expected.types);
  EXPECT_EQ(v.bos, 1);
  EXPECT_EQ(v.eos, -1);  // ten bytes of varint
  EXPECT_TRUE(v.byte_fallback && v.add_dummy_prefix && v.adds_bos);
  EXPECT_FALSE(v.remove_extra_whitespaces);
}

TEST(SentencePieceModel, NamesWhatItDoesNotRead) {
  const auto error_of = [](const std::string& bytes) -> std::string {
    try {
      make_sentencepiece(parse_sentencepiece(bytes, "m"));
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  };
  EXPECT_THAT(error_of(model_file(number_field(3, 3), "")),
              HasSubstr("type 3"));
  EXPECT_THAT(error_of(model_file(kTrainer + number_field(24, 1), "")),
              HasSubstr("suffix"));
  EXPECT_THAT(error_of(model_file(kTrainer, bytes_field(2, "table"))),
              HasSubstr("precompiled_charsmap"));
  EXPECT_THAT(error_of(""), HasSubstr("0 pieces"));
  EXPECT_THAT(error_of("\x0B"), HasSubstr("wire type 3"));
}

TEST(SentencePieceModel, DamagedBytesNeverCrash) {
  const std::string whole = model_file(kTrainer, number_field(4, 0));
  size_t num_errors = 0;
  for (uint64_t key = 0; key < 2000; ++key) {
    std::string bytes = whole.substr(0, draw_index(key, 0, whole.size()));
    if (bytes.empty()) continue;
    bytes[draw_index(key, 1, bytes.size())] =
        static_cast<char>(draw_index(key, 2, 256));
    try {
      make_sentencepiece(parse_sentencepiece(bytes, "m"))->encode("ab é");
    } catch (const Error&) {
      ++num_errors;
    }
  }
  EXPECT_GT(num_errors, 1000u);
}

TEST(SentencePiece, EqualsTheReference) {
  const std::string root =
      "../shared/reference/tokenizers/llama2_sentencepiece/";
  if (!std::filesystem::exists(root)) {
    GTEST_SKIP() << root << " is absent";
  }
  const auto t = read_sentencepiece(root + "tokenizer.model");
  const Json cases =
      parse_json(read_file(root + "cases.json"), root + "cases.json");
  EXPECT_GE(cases.size(), 60u);
  for (const Json& each : cases) {
    const std::string text = each["text"];
    const std::vector<int> expected = each["ids"];
    EXPECT_EQ(t->encode(text, true), expected) << text;
    EXPECT_EQ(t->decode(expected, true), each["decoded"].get<std::string>());
  }
}

}  // namespace
}  // namespace selfalign::text
