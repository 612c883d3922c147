// SPDX-License-Identifier: Apache-2.0
// Long texts: how few tokens they may have, and that they are cut into slices.
#include "text/token_bound.h"

#include <gtest/gtest.h>

#include <map>

#include "base/random.h"
#include "base/slices.h"
#include "text/byte_bpe.h"
#include "text/sentencepiece.h"

namespace selfalign::text {
namespace {

// Bytes, but for `lacking`, and words of a.
BpeVocabulary bpe(const std::string& lacking = "") {
  BpeVocabulary v;
  v.where = "bpe";
  for (int b = 0; b < 256; ++b) {
    const char byte = static_cast<char>(b);
    const bool has = lacking.find(byte) == std::string::npos;
    v.tokens.push_back(has ? bytes_to_alphabet(std::string(1, byte)) : "");
  }
  for (const size_t half : {1u, 2u, 4u}) {
    v.merges.push_back({std::string(half, 'a'), std::string(half, 'a')});
    v.tokens.push_back(std::string(2 * half, 'a'));
  }
  v.pre_tokenizer = pre_tokenizer_named("gpt2", v.where);
  return v;
}

SentencePieceVocabulary pieces(bool byte_fallback) {
  SentencePieceVocabulary v;
  v.where = "pieces";
  const auto add = [&](const std::string& piece, TokenType type) {
    v.pieces.push_back(piece);
    v.scores.push_back(static_cast<float>(piece.size()));
    v.types.push_back(type);
  };
  add("<unk>", TokenType::kUnknown);
  add("<s>", TokenType::kControl);
  add("</s>", TokenType::kControl);
  for (int b = 0; b < 256 && byte_fallback; ++b) {
    char piece[8];
    std::snprintf(piece, sizeof(piece), "<0x%02X>", b);
    add(piece, TokenType::kByte);
  }
  for (const char* piece : {"a", "aa", "aaaa", "b", "\u2581", "\u2581\u2581",
                            "\u00e9", "\u2581a"}) {
    add(piece, TokenType::kNormal);
  }
  v.byte_fallback = byte_fallback;
  return v;
}

AddedToken strips() {
  AddedToken token;
  token.id = 258;
  token.text = "aaaaaaaa";
  token.lstrip = token.rstrip = true;
  return token;
}

std::vector<std::shared_ptr<const Tokenizer>> all_kinds() {
  std::vector<std::shared_ptr<const Tokenizer>> all;
  for (const std::string lacking : {"", "z", " ", "a\xcc"}) {
    for (const int unknown : {-1, 98}) {
      for (const bool fuse : {false, true}) {
        for (const auto& forms : std::vector<std::vector<NormalizerStep>>{
                 {},
                 {TextForm::kNfc},
                 {TextForm::kNfkd},
                 {TextForm::kLower, TextForm::kNfkc}}) {
          BpeVocabulary v = bpe(lacking);
          v.unknown = unknown;
          v.fuse_unknown = fuse;
          v.normalizers = forms;
          if (lacking == "a\xcc") v.merges.clear();
          all.push_back(make_byte_bpe(v));
        }
      }
    }
  }
  BpeVocabulary removes = bpe();
  PreTokenizerStep step;
  step.pattern = "z+";
  step.behavior = SplitBehavior::kRemoved;
  removes.pre_tokenizer.push_back(step);
  all.push_back(make_byte_bpe(removes));
  BpeVocabulary added = bpe();
  added.added = {strips()};
  all.push_back(make_byte_bpe(added));
  for (const bool fallback : {false, true}) {
    for (const bool removes_space : {false, true}) {
      SentencePieceVocabulary v = pieces(fallback);
      v.remove_extra_whitespaces = removes_space;
      all.push_back(make_sentencepiece(v));
      v.escape_whitespaces = false;
      all.push_back(make_sentencepiece(v));
    }
  }
  return all;
}

TEST(TokenBound, NoTextHasFewerTokens) {
  const std::vector<std::string> parts = {"a",
                                          "aaaaaaaa",
                                          "b",
                                          "z",
                                          " ",
                                          "    ",
                                          "zzzz",
                                          "\n",
                                          "\u00e9",
                                          "e\u0301",
                                          std::string(1, '\0'),
                                          "\u212a",
                                          "\u1fbe",
                                          "\u0308\u0301",
                                          "\u4e2d",
                                          "\xff",
                                          "7"};
  const auto kinds = all_kinds();
  for (uint64_t i = 0; i < 3000; ++i) {
    std::string text;
    // Long runs of one part and mixed ones.
    const size_t count = 1 + draw_index(i, 0, 30);
    size_t part = draw_index(i, 1, parts.size());
    for (uint64_t k = 0; k < count; ++k) {
      if (i % 2 == 0) part = draw_index(i, 2 + k, parts.size());
      text += parts[part];
    }
    for (size_t t = 0; t < kinds.size(); ++t) {
      const size_t bound = kinds[t]->min_tokens(text);
      EXPECT_LE(bound, kinds[t]->encode(text).size()) << t << ": " << text;
      EXPECT_LE(bound, kinds[t]->encode_continuation(text).size()) << t;
    }
  }
}

// So that the bound is worth something.
TEST(TokenBound, TextsOfTheLongestTokenReachIt) {
  const std::string text(8000, 'a');
  EXPECT_EQ(make_byte_bpe(bpe())->min_tokens(text), 1000u);
  EXPECT_EQ(make_byte_bpe(bpe())->encode(text).size(), 1000u);
  EXPECT_EQ(make_byte_bpe(bpe("z"))->min_tokens(text + "zzz"), 1000u);
  EXPECT_EQ(make_byte_bpe(bpe())->min_tokens(text + "z"), 1001u);
  BpeVocabulary normal = bpe();
  normal.normalizers = {TextForm::kNfc};
  EXPECT_EQ(make_byte_bpe(normal)->min_tokens(text), 250u);
  // <0x61> and the two marks are six bytes each.
  EXPECT_EQ(make_sentencepiece(pieces(true))->min_tokens(text), 1334u);
}

std::string utf8(int32_t code) {
  std::string text;
  append_utf8(text, code);
  return text;
}

// Every character that a form can make, from whatever is longest: by all of
// Unicode. A text of a form is made of them one after the other.
TEST(TokenBound, NoFormMakesAFifthOfAText) {
  const auto each = [](auto visit) {
    for (int32_t code = 0; code < 0x110000; ++code) {
      if (code < 0xd800 || code > 0xdfff) visit(utf8(code));
    }
  };
  for (const auto& [composed, decomposed] :
       {std::pair(TextForm::kNfc, TextForm::kNfd),
        std::pair(TextForm::kNfkc, TextForm::kNfkd)}) {
    // Of a decomposed character, the longest that it may come from.
    std::map<std::string, size_t> widest;
    const auto width = [&](const std::string& text) {
      size_t sum = 0;
      for (size_t pos = 0; pos < text.size();) {
        const std::string part = text.substr(pos, utf8_char(text, pos).length);
        const auto found = widest.find(part);
        sum += found == widest.end() ? part.size() : found->second;
        pos += part.size();
      }
      return sum;
    };
    std::vector<std::pair<std::string, std::string>> changed;
    each([&, decomposed = decomposed](const std::string& from) {
      const std::string to = to_form(from, decomposed);
      EXPECT_LE(from.size(), kMaxFormShrink * to.size());
      if (to == from) return;
      changed.push_back({from, to});
      if (utf8_char(to, 0).length == to.size()) {
        size_t& most = widest[to];
        most = std::max({most, from.size(), to.size()});
      }
    });
    for (const auto& [from, to] : changed) {
      EXPECT_LE(from.size(), width(to)) << from;
      if (to_form(from, composed) == from) {
        EXPECT_LE(width(to), kMaxFormShrink * from.size()) << from;
      }
    }
    EXPECT_GT(widest.size(), 500u);
  }
  each([](const std::string& from) {
    EXPECT_LE(from.size(),
              kMaxFormShrink * to_form(from, TextForm::kLower).size());
  });
}

TEST(LongTexts, AreTokenizedInSlicesHoweverTheyLook) {
  BpeVocabulary normal = bpe();
  normal.normalizers = {TextForm::kNfc};
  for (const auto& tokenizer :
       {std::shared_ptr<const Tokenizer>(make_byte_bpe(bpe())),
        std::shared_ptr<const Tokenizer>(make_byte_bpe(normal)),
        std::shared_ptr<const Tokenizer>(make_sentencepiece(pieces(true)))}) {
    for (const std::string part :
         {" ", "a", "b", "ab ", "\n", "\u4e2d", "\u0301\u0323", "7"}) {
      std::string text;
      while (text.size() < (size_t{1} << 18)) text += part;
      size_t num_slices = 0;
      {
        const SliceScope scope([&] { ++num_slices; });
        tokenizer->encode(text);
      }
      EXPECT_GT(num_slices, 60u) << part;
      size_t left = num_slices / 2;  // ended in the middle
      const SliceScope scope([&] {
        if (--left == 0) throw std::runtime_error("gone");
      });
      EXPECT_THROW(tokenizer->encode(text), std::runtime_error) << part;
    }
  }
}

// In a time that does not grow with the square.
TEST(LongTexts, MarksAreSorted) {
  std::string text = "a", low, high;
  for (int i = 0; i < 400000; ++i) {
    text += "\u0301\u0323";
    low += "\u0323";
    high += "\u0301";
  }
  EXPECT_TRUE(to_form(text, TextForm::kNfd) == "a" + low + high);
  EXPECT_TRUE(to_form(text, TextForm::kNfc) == "\u1ea1" + low.substr(2) + high);
}

}  // namespace
}  // namespace selfalign::text
