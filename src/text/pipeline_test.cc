// SPDX-License-Identifier: Apache-2.0
// tokenizer.json and tokenizer.model in the families' spellings, against what
// the libraries that wrote them make (tools/compare_tokenizers.py --golden).
#include "text/pipeline.h"

#include <gmock/gmock.h>

#include <filesystem>

#include "base/file.h"
#include "base/json.h"
#include "text/byte_bpe.h"
#include "text/sentencepiece.h"
#include "text/tokenizer_json.h"

namespace selfalign::text {
namespace {

using testing::ElementsAre;

const std::string kMark = "\u2581";

std::vector<std::string> kinds() {
  std::vector<std::string> all;
  for (const auto& entry :
       std::filesystem::directory_iterator("tests/data/tokenizers")) {
    all.push_back(entry.path().string());
  }
  std::sort(all.begin(), all.end());
  return all;
}

std::unique_ptr<Tokenizer> load(const std::string& folder) {
  const std::string json = folder + "/tokenizer.json";
  return std::filesystem::exists(json)
             ? read_tokenizer_json(json)
             : read_sentencepiece(folder + "/tokenizer.model");
}

TEST(Pipeline, EqualsTheReferenceInEachSpelling) {
  EXPECT_GE(kinds().size(), 20u);
  for (const std::string& folder : kinds()) {
    const auto t = load(folder);
    const std::string path = folder + "/cases.json";
    const Json cases = parse_json(read_file(path), path);
    EXPECT_GE(cases.size(), 70u);
    for (const Json& each : cases) {
      const std::string text = each["text"];
      const std::vector<int> expected = each["ids"];
      // SentencePiece's library takes no text for a control piece.
      const bool parses = folder.find("spm_") == std::string::npos;
      EXPECT_EQ(t->encode(text, parses), expected) << folder << ": " << text;
      EXPECT_EQ(t->decode(expected, true), each["decoded"].get<std::string>())
          << folder << ": " << text;
      EXPECT_LE(t->min_tokens(text), t->encode(text).size()) << folder;
      EXPECT_LE(t->min_tokens(text), t->encode_continuation(text).size());
    }
  }
}

// A text cut before a space that stands after a letter has the tokens of the
// whole, in all kinds that keep their spaces.
TEST(Pipeline, PiecesCutBetweenWordsAreTheWhole) {
  for (const std::string kind :
       {"llama2", "llama2_metaspace", "mistral", "gemma", "phi3", "qwen",
        "unigram_bytes", "spm_bpe_llama"}) {
    const auto t = load("tests/data/tokenizers/" + kind);
    for (const std::string text :
         {"the licence of this program", "a b", "x \u4e2d\u6587 \u00e9"}) {
      for (size_t cut = text.find(' '); cut != std::string::npos;
           cut = text.find(' ', cut + 1)) {
        std::vector<int> ids = t->encode(text.substr(0, cut));
        const auto rest = t->encode_continuation(text.substr(cut));
        ids.insert(ids.end(), rest.begin(), rest.end());
        EXPECT_EQ(ids, t->encode(text)) << kind << ": " << text;
      }
    }
  }
}

// What a token says does not depend on those around it, but for the first
// space.
TEST(Pipeline, TokensStreamToTheText) {
  for (const std::string& folder : kinds()) {
    const auto t = load(folder);
    for (const std::string text : {"the  licence \u4e2d\n", "program"}) {
      const auto ids = t->encode(text);
      std::string streamed;
      for (const int id : ids) streamed += t->decode_token(id, true);
      const std::string whole = t->decode(ids, true);
      EXPECT_TRUE(streamed == whole || streamed == " " + whole)
          << folder << ": '" << streamed << "' and '" << whole << "'";
    }
  }
}

// In the middle of a text nobody puts a space, nor in front of an added token.
TEST(Pipeline, ASpaceInFrontIsOnlyOfAStart) {
  BpeVocabulary v;
  v.where = "test";
  v.byte_level = false;
  v.tokens = {"<unk>", kMark, "a", kMark + "a", "<t>"};
  v.merges = {{kMark, "a"}};
  v.unknown = 0;
  AddedToken token;
  token.id = 4;
  token.text = "<t>";
  v.added = {token};
  PreTokenizerStep metaspace;
  metaspace.kind = PreTokenizerStep::Kind::kMetaspace;
  metaspace.text = kMark;
  const auto with = [&](PrependScheme scheme) {
    metaspace.prepend = scheme;
    v.pre_tokenizer = {metaspace};
    return make_byte_bpe(v);
  };
  const auto always = with(PrependScheme::kAlways);
  EXPECT_THAT(always->encode("a<t>a a"), ElementsAre(3, 4, 3, 3));
  EXPECT_THAT(always->encode_continuation("a<t>a"), ElementsAre(2, 4, 3));
  EXPECT_THAT(always->encode_continuation(" a"), ElementsAre(3));
  const auto first = with(PrependScheme::kFirst);
  EXPECT_THAT(first->encode("a<t>a"), ElementsAre(3, 4, 2));
  EXPECT_THAT(first->encode("<t>a"), ElementsAre(4, 2));
  EXPECT_THAT(first->encode_continuation("a<t>a"), ElementsAre(2, 4, 2));
  EXPECT_THAT(with(PrependScheme::kNever)->encode("a a"), ElementsAre(2, 3));
}

TEST(Pipeline, WordsFallApartAtTheirBorder) {
  const auto parts = [](std::string_view word) {
    std::vector<std::string> all;
    for_each_part(word, "_", [&](std::string_view p) { all.emplace_back(p); });
    return all;
  };
  EXPECT_THAT(parts("a_b__c_"), ElementsAre("a", "_b", "__c", "_"));
  EXPECT_THAT(parts("__"), ElementsAre("__"));
  EXPECT_THAT(parts("a"), ElementsAre("a"));
  EXPECT_THAT(parts(""), ElementsAre());
}

// A megabyte of whatever nothing cuts, in the spelling that has no words.
TEST(Pipeline, HostileTextsTakeNoQuadraticTime) {
  for (const std::string kind : {"llama2", "gemma", "unigram_bytes", "t5_new",
                                 "deepseek_llm", "spm_bpe_llama"}) {
    const auto t = load("tests/data/tokenizers/" + kind);
    for (const std::string part :
         {"a", " ", "\u0301", "\U0001F600", "\u2581", "\u0378", ".", "ab"}) {
      std::string text;
      while (text.size() < 200'000) text += part;
      EXPECT_GT(t->encode(text + "x").size(), 0u) << kind << part;
    }
  }
}

}  // namespace
}  // namespace selfalign::text
