// SPDX-License-Identifier: Apache-2.0
#include "text/byte_bpe.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "text/char_bpe.h"
#include "text/merge_table.h"

namespace selfalign::text {
namespace {

// The words that are tokens.
class WholeWords {
 public:
  WholeWords(const BpeVocabulary& vocabulary,
             std::shared_ptr<const TokenIds> ids)
      : ids_(std::move(ids)), special_(vocabulary.tokens.size()) {
    for (const AddedToken& token : vocabulary.added) {
      special_[static_cast<size_t>(token.id)] = token.special;
    }
  }
  // -1: none.
  int find(std::string_view word) const {
    const int id = id_of_token(*ids_, word);
    return id >= 0 && special_[static_cast<size_t>(id)] ? -1 : id;
  }

 private:
  std::shared_ptr<const TokenIds> ids_;
  std::vector<bool> special_;
};

class ByteBpe : public WordModel {
 public:
  ByteBpe(const BpeVocabulary& vocabulary, std::shared_ptr<const TokenIds> ids,
          MergeTable merges)
      : words_(vocabulary, ids),
        merges_(std::move(merges)),
        ignore_merges_(vocabulary.ignore_merges),
        unknown_(vocabulary.unknown),
        fuse_unknown_(vocabulary.fuse_unknown) {
    for (size_t b = 0; b < 256; ++b) {
      const std::string byte(1, static_cast<char>(b));
      byte_ids_[b] = id_of_token(*ids, bytes_to_alphabet(byte));
    }
    for (const std::string& token : vocabulary.tokens) {
      max_token_bytes_ =
          std::max(max_token_bytes_, alphabet_to_bytes(token).size());
    }
  }

  void encode(std::string_view word, std::vector<int>& ids) const override;
  TokenBound bound() const override;

 private:
  WholeWords words_;
  std::array<int, 256> byte_ids_;  // -1: no token
  MergeTable merges_;
  bool ignore_merges_;
  int unknown_;
  bool fuse_unknown_;
  size_t max_token_bytes_ = 0;
};

void ByteBpe::encode(std::string_view word, std::vector<int>& out) const {
  if (ignore_merges_) {
    const int whole = words_.find(bytes_to_alphabet(word));
    if (whole >= 0) return out.push_back(whole);
  }
  std::vector<int> ids;
  ids.reserve(word.size());
  for (const char c : word) {
    const int id = byte_ids_[static_cast<unsigned char>(c)];
    if (id >= 0) {
      ids.push_back(id);
    } else if (unknown_ >= 0 &&
               !(fuse_unknown_ && !ids.empty() && ids.back() == unknown_)) {
      ids.push_back(unknown_);
    }
  }
  merges_.apply(ids);
  out.insert(out.end(), ids.begin(), ids.end());
}

// Every byte of a word is part of a token, but for those that have none and are
// dropped or fused.
TokenBound ByteBpe::bound() const {
  TokenBound bound;
  for (size_t b = 0; b < 256; ++b) {
    bound.counts[b] = byte_ids_[b] >= 0 || (unknown_ >= 0 && !fuse_unknown_);
  }
  bound.max_bytes = max_token_bytes_;
  return bound;
}

// Over characters, where a whole word may be a token.
class WholeOrCharBpe : public CharBpe {
 public:
  WholeOrCharBpe(WholeWords words, CharBpeParts parts)
      : CharBpe(std::move(parts)), words_(std::move(words)) {}
  void encode(std::string_view word, std::vector<int>& ids) const override {
    const int whole = words_.find(word);
    if (whole >= 0) return ids.push_back(whole);
    CharBpe::encode(word, ids);
  }
  std::string_view border() const override { return ""; }

 private:
  WholeWords words_;
};

MergeTable merge_table(const BpeVocabulary& vocabulary, const TokenIds& ids) {
  MergeTable table(vocabulary.merges.size());
  int32_t rank = 0;
  std::string both;
  for (const auto& [left, right] : vocabulary.merges) {
    both.assign(left).append(right);
    const int left_id = id_of_token(ids, left);
    const int right_id = id_of_token(ids, right);
    const int joined = id_of_token(ids, both);
    if (left_id < 0 || right_id < 0 || joined < 0) {
      fail_vocabulary(vocabulary.where,
                      str("merge ", rank, " ('", left, "' and '", right,
                          "') of something that is no token"));
    }
    table.set(left_id, right_id, {rank++, joined});
  }
  return table;
}

CharBpeParts char_parts(const BpeVocabulary& vocabulary, const TokenIds& ids) {
  CharBpeParts parts;
  for (const auto& [token, id] : ids) {
    const Utf8Char first = utf8_char(token, 0);
    if (first.code >= 0 && first.length == token.size()) {
      parts.characters.set(first.code, id);
    }
    parts.max_token_bytes = std::max(parts.max_token_bytes, token.size());
  }
  constexpr const char* kDigits = "0123456789ABCDEF";
  for (size_t b = 0; b < 256 && vocabulary.byte_fallback; ++b) {
    const std::string token = {'<', '0', 'x', kDigits[b / 16], kDigits[b % 16],
                               '>'};
    parts.byte_ids[b] = id_of_token(ids, token);
  }
  parts.unknown = vocabulary.unknown;
  parts.fuse_unknown = vocabulary.fuse_unknown;
  parts.parts_at_spaces =
      ids.contains(kSpaceMark) &&
      std::all_of(vocabulary.merges.begin(), vocabulary.merges.end(),
                  [](const auto& merge) {
                    return keeps_spaces_apart(merge.first, merge.second);
                  });
  return parts;
}

}  // namespace

std::unique_ptr<Tokenizer> make_byte_bpe(BpeVocabulary vocabulary) {
  const std::shared_ptr<const TokenIds> ids = ids_of_tokens(vocabulary);
  if (vocabulary.unknown >= static_cast<int>(vocabulary.tokens.size())) {
    fail_vocabulary(vocabulary.where,
                    str("unknown token ", vocabulary.unknown));
  }
  MergeTable merges = merge_table(vocabulary, *ids);
  std::unique_ptr<WordModel> model;
  if (vocabulary.byte_level) {
    model = std::make_unique<ByteBpe>(vocabulary, ids, std::move(merges));
  } else {
    CharBpeParts parts = char_parts(vocabulary, *ids);
    parts.merges = std::move(merges);
    if (vocabulary.ignore_merges) {
      model = std::make_unique<WholeOrCharBpe>(WholeWords(vocabulary, ids),
                                               std::move(parts));
    } else {
      model = std::make_unique<CharBpe>(std::move(parts));
    }
  }
  return make_pipeline(std::move(vocabulary), ids, std::move(model));
}

}  // namespace selfalign::text
