// SPDX-License-Identifier: Apache-2.0
#include "text/byte_bpe.h"

#include <gmock/gmock.h>

#include <thread>

#include "base/error.h"
#include "base/random.h"
#include "text/merge_table.h"
#include "text/words.h"

namespace selfalign::text {
namespace {

using testing::ElementsAre;

// 256 byte tokens, then "ab", "abc", "aa", " a", then two added tokens.
constexpr int kAb = 256, kAbc = 257, kAa = 258, kSpaceA = 259;
constexpr int kEnd = 260, kTab = 261;

BpeVocabulary small_world() {
  BpeVocabulary v;
  v.where = "small world";
  for (int b = 0; b < 256; ++b) {
    v.tokens.push_back(bytes_to_alphabet(std::string(1, static_cast<char>(b))));
  }
  v.merges = {{"a", "b"}, {"ab", "c"}, {"a", "a"}, {"\u0120", "a"}};
  for (const auto& [left, right] : v.merges) v.tokens.push_back(left + right);
  AddedToken end;
  end.id = kEnd;
  end.text = "<|im_end|>";
  end.special = true;
  AddedToken tab;
  tab.id = kTab;
  tab.text = "[TAB]";
  v.tokens.push_back(end.text);
  v.tokens.push_back(tab.text);
  v.added = {end, tab};
  v.pre_tokenizer = pre_tokenizer_named("gpt2", v.where);
  return v;
}

TEST(ByteBpe, MergesByRankThenFromTheLeft) {
  const auto t = make_byte_bpe(small_world());
  EXPECT_THAT(t->encode("abc"), ElementsAre(kAbc));
  EXPECT_THAT(t->encode("aab"), ElementsAre('a', kAb));
  EXPECT_THAT(t->encode("aaa"), ElementsAre(kAa, 'a'));
  EXPECT_THAT(t->encode("x a"), ElementsAre('x', kSpaceA));
  EXPECT_THAT(t->encode(""), ElementsAre());
  EXPECT_EQ(t->token_id("\u0120a"), kSpaceA);
  EXPECT_EQ(t->token_id("nothing"), -1);
  EXPECT_EQ(t->size(), 262);
}

TEST(ByteBpe, SpecialTextIsATokenOnlyOnRequest) {
  const auto t = make_byte_bpe(small_world());
  EXPECT_THAT(t->encode("ab<|im_end|>", true), ElementsAre(kAb, kEnd));
  const auto plain = t->encode("ab<|im_end|>");
  EXPECT_EQ(plain.size(), 1u + 10u);
  EXPECT_EQ(t->decode(plain), "ab<|im_end|>");
  // An added token that is not special is always one token.
  EXPECT_THAT(t->encode("ab[TAB]"), ElementsAre(kAb, kTab));
  EXPECT_EQ(t->decode({kAb, kEnd, kTab}), "ab[TAB]");
  EXPECT_EQ(t->decode({kAb, kEnd}, true), "ab<|im_end|>");
  EXPECT_EQ(t->decode_token(kEnd), "");
  EXPECT_TRUE(t->is_special(kEnd) && !t->is_special(kTab));
  EXPECT_EQ(t->eos(), kEnd);  // by its name
  EXPECT_THAT(t->end_tokens(), ElementsAre(kEnd));
  EXPECT_EQ(t->bos(), -1);
}

TEST(ByteBpe, AddedTokensTakeSpacesAndKeepOutOfWords) {
  BpeVocabulary v = small_world();
  v.added[0].lstrip = v.added[0].rstrip = true;
  v.added[1].text = "ab";
  v.added[1].single_word = true;
  const auto t = make_byte_bpe(std::move(v));
  EXPECT_THAT(t->encode("a \u3000<|im_end|>\n a", true),
              ElementsAre('a', kEnd, 'a'));
  EXPECT_THAT(t->encode("ab"), ElementsAre(kTab));
  EXPECT_EQ(t->encode("abx").size(), 2u);
  EXPECT_EQ(t->encode("éab").size(), 3u);
  // Letters, marks, digits and joiners are beside it; "\u00B2" is not.
  EXPECT_EQ(t->encode("_ab").size(), 2u);
  EXPECT_EQ(t->encode("ab\u0301").size(), 3u);
  EXPECT_EQ(t->encode("ab\u200D").size(), 4u);
  EXPECT_EQ(t->encode("\u24B6ab").size(), 4u);
  EXPECT_THAT(t->encode("\u00B2ab-"), testing::Contains(kTab));
}

// The longest token at a place decides, as in the reference, even where it may
// not stand there: no shorter one is looked for in it.
TEST(ByteBpe, WhatMayNotBeATokenIsText) {
  BpeVocabulary v = small_world();
  v.added[0].text = "[TAB][TAB]";
  const auto t = make_byte_bpe(v);
  EXPECT_THAT(t->encode("[TAB][TAB][TAB]", true), ElementsAre(kEnd, kTab));
  const auto plain = t->encode("[TAB][TAB][TAB]");
  EXPECT_EQ(plain.size(), 10u + 1u);
  EXPECT_EQ(plain.back(), kTab);
  v.added[0].special = false;
  v.added[0].single_word = true;
  const auto word = make_byte_bpe(v);
  EXPECT_EQ(word->encode("x[TAB][TAB]").size(), 11u);
  EXPECT_THAT(word->encode("[TAB][TAB]"), ElementsAre(kEnd));
}

TEST(ByteBpe, OnlyAStartGetsASpace) {
  BpeVocabulary v = small_world();
  v.pre_tokenizer.insert(v.pre_tokenizer.begin(), PreTokenizerStep());
  v.pre_tokenizer[0].kind = PreTokenizerStep::Kind::kPrefixSpace;
  const auto t = make_byte_bpe(v);
  EXPECT_THAT(t->encode("a"), ElementsAre(kSpaceA));
  EXPECT_THAT(t->encode_continuation("a"), ElementsAre('a'));
  EXPECT_THAT(t->encode_continuation(" a"), ElementsAre(kSpaceA));
  // After an added token a stretch starts, as ByteLevel has it.
  EXPECT_THAT(t->encode_continuation("a[TAB]a"),
              ElementsAre('a', kTab, kSpaceA));
}

TEST(ByteBpe, NormalizedAddedTokensAreFoundAfterNormalising) {
  BpeVocabulary v = small_world();
  v.normalizers = {TextForm::kLower};
  v.added[1].text = "tab";
  v.added[1].normalized = true;
  const auto t = make_byte_bpe(std::move(v));
  EXPECT_THAT(t->encode("ABTAB"), ElementsAre(kAb, kTab));
}

TEST(ByteBpe, AnyBytesComeBack) {
  const auto t = make_byte_bpe(small_world());
  for (uint64_t row = 0; row < 300; ++row) {
    std::string bytes;
    for (uint64_t i = 0; i < draw_index(row, 0, 40); ++i) {
      const uint64_t kind = draw_index(row, 2 * i + 1, 3);
      bytes +=
          static_cast<char>(kind == 0 ? draw_index(row, 2 * i + 2, 256)
                                      : 'a' + draw_index(row, 2 * i + 2, 4));
    }
    ASSERT_EQ(t->decode(t->encode(bytes)), bytes);
  }
}

TEST(ByteBpe, BytesWithoutATokenAreDroppedOrUnknown) {
  BpeVocabulary v = small_world();
  v.tokens[0x01] = v.tokens[0x02] = "";
  EXPECT_THAT(make_byte_bpe(v)->encode("\x01"
                                       "a\x02"
                                       "b"),
              ElementsAre('a', 'b'));
  v.unknown = kEnd;
  EXPECT_THAT(make_byte_bpe(v)->encode("\x01\x02"
                                       "x"),
              ElementsAre(kEnd, kEnd, 'x'));
  v.fuse_unknown = true;
  EXPECT_THAT(make_byte_bpe(v)->encode("\x01\x02"
                                       "x"),
              ElementsAre(kEnd, 'x'));
}

TEST(ByteBpe, IgnoreMergesTakesWholeWordsButNoSpecials) {
  BpeVocabulary v = small_world();
  v.tokens.push_back("xyz");
  v.added[0].text = "zzz";
  v.tokens[kEnd] = "zzz";
  v.ignore_merges = true;
  const auto t = make_byte_bpe(std::move(v));
  EXPECT_THAT(t->encode("xyz"), ElementsAre(262));
  EXPECT_THAT(t->encode("zzz"), ElementsAre('z', 'z', 'z'));
}

TEST(ByteBpe, UnsoundVocabulariesAreErrors) {
  const auto expect_error = [](auto&& change) {
    BpeVocabulary v = small_world();
    change(v);
    EXPECT_THROW(make_byte_bpe(std::move(v)), Error);
  };
  expect_error([](BpeVocabulary& v) { v.merges.push_back({"q", "q"}); });
  expect_error([](BpeVocabulary& v) { v.merges.push_back({"\x01", "a"}); });
  expect_error([](BpeVocabulary& v) { v.added[0].id = 262; });
  expect_error([](BpeVocabulary& v) { v.added[0].id = -1; });
  expect_error([](BpeVocabulary& v) { v.bos = 1000; });
  expect_error([](BpeVocabulary& v) { v.eos = 1000; });
  expect_error([](BpeVocabulary& v) { v.adds_bos = true; });
  expect_error([](BpeVocabulary& v) { v.tokens.clear(); });
  expect_error([](BpeVocabulary& v) { v.end_tokens = {1000}; });
  const auto t = make_byte_bpe(small_world());
  EXPECT_THROW(t->decode({262}), Error);
  EXPECT_THROW(t->decode_token(-1), Error);
}

TEST(ByteBpe, ThreadsAgree) {
  const auto t = make_byte_bpe(small_world());
  std::string text;
  for (uint64_t i = 0; i < 20'000; ++i) {
    text += "ab cxa"[draw_index(5, i, 6)];
  }
  const auto expected = make_byte_bpe(small_world())->encode(text);
  std::vector<std::vector<int>> ids(4);
  std::vector<std::thread> threads;
  for (auto& out : ids) {
    threads.emplace_back([&] { out = t->encode(text); });
  }
  for (auto& thread : threads) thread.join();
  for (const auto& out : ids) EXPECT_EQ(out, expected);
}

// The definition, step by step.
std::vector<int> plain_merge(const MergeTable& table, std::vector<int> ids) {
  for (;;) {
    const MergeTable::Merge* best = nullptr;
    size_t at = 0;
    for (size_t i = 0; i + 1 < ids.size(); ++i) {
      const auto* merge = table.find(ids[i], ids[i + 1]);
      if (merge && (!best || merge->rank < best->rank)) {
        best = merge;
        at = i;
      }
    }
    if (!best) return ids;
    ids[at] = best->joined;
    ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(at) + 1);
  }
}

TEST(MergeTable, EqualsTheDefinitionOnAnyLength) {
  for (uint64_t key = 0; key < 300; ++key) {
    // Ids 0..3, each merge makes the next id.
    MergeTable table(40);
    for (int32_t rank = 0; rank < 40; ++rank) {
      const uint64_t draw = 3 * static_cast<uint64_t>(rank);
      const auto known = static_cast<uint64_t>(4 + rank);
      table.set(static_cast<int>(draw_index(key, draw, known)),
                static_cast<int>(draw_index(key, draw + 1, known)),
                {rank, 4 + rank});
    }
    std::vector<int> ids;
    const uint64_t length = draw_index(key, 500, 150);
    for (uint64_t i = 0; i < length; ++i) {
      ids.push_back(static_cast<int>(draw_index(key, 1000 + i, 4)));
    }
    const auto expected = plain_merge(table, ids);
    table.apply(ids);
    ASSERT_EQ(ids, expected) << key;
  }
}

TEST(ByteBpe, AHostileLongWordTakesNoQuadraticTime) {
  const auto t = make_byte_bpe(small_world());
  const std::string word(2'000'000, 'a');  // quadratic: hours
  EXPECT_EQ(t->encode(word).size(), word.size() / 2);
}

}  // namespace
}  // namespace selfalign::text
