// SPDX-License-Identifier: Apache-2.0
// Byte-pair merges over the characters of a word; characters without a token
// are byte tokens or unknown. Both kinds of files end here: tokenizer.json
// states its merges, of SentencePiece's pieces each split into two is one.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/char_table.h"
#include "text/merge_table.h"
#include "text/word_model.h"

namespace selfalign::text {

inline constexpr std::string_view kSpaceMark = "\xE2\x96\x81";  // U+2581

struct CharBpeParts {
  CharTable characters;           // to ids
  std::array<int, 256> byte_ids;  // -1: none
  MergeTable merges{0};
  int unknown = -1;           // -1: what is unknown is dropped
  bool fuse_unknown = false;  // one token for several of them in a row
  // Characters that are no tokens but merge into some, with ids from
  // first_extra on.
  int first_extra = INT32_MAX;
  std::vector<std::string> extra;
  // No merge puts something before kSpaceMark but itself, which is a token.
  bool parts_at_spaces = false;
  size_t max_token_bytes = 0;

  CharBpeParts() { byte_ids.fill(-1); }
};

class CharBpe : public WordModel {
 public:
  explicit CharBpe(CharBpeParts parts);

  void encode(std::string_view word, std::vector<int>& ids) const override;
  TokenBound bound() const override;
  std::string_view border() const override {
    return parts_.parts_at_spaces ? kSpaceMark : std::string_view();
  }

 private:
  bool append_bytes(std::string_view character, std::vector<int>& ids) const;
  void append_merged(const std::vector<int>& symbols,
                     std::vector<int>& ids) const;

  CharBpeParts parts_;
};

struct ScoredPiece {
  std::string_view text;
  float score;
  int id;
};

// SentencePiece's: of neighbours that are a piece together those with the
// highest score are joined first. Adds characters, extra and merges. Error
// kInput names `where` and a piece that is longer than any model has.
void add_scored_pieces(const std::vector<ScoredPiece>& pieces, int num_ids,
                       const std::string& where, CharBpeParts& parts);

// Whether merging these two keeps to border().
bool keeps_spaces_apart(std::string_view left, std::string_view right);

}  // namespace selfalign::text
