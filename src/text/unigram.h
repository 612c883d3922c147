// SPDX-License-Identifier: Apache-2.0
// Unigram (Kudo 2018): of all ways to cut a word into pieces the one with the
// highest sum of scores. A character without a piece is unknown, with a score
// of its own, and may become byte tokens.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/piece_trie.h"
#include "text/pipeline.h"
#include "text/word_model.h"

namespace selfalign::text {

struct UnigramParts {
  std::vector<PieceTrie::Entry> pieces;  // texts and ids
  std::vector<double> scores;            // by id, finite
  double unknown_score = 0;
  int unknown = -1;               // -1: what is unknown is dropped
  std::array<int, 256> byte_ids;  // -1: none
  // Sums are float, as in SentencePiece, or double, as in HF's tokenizers.
  bool is_float = false;
  // A run of unknown characters that is a piece after all is that piece.
  bool looks_up_unknown = false;

  UnigramParts() { byte_ids.fill(-1); }
};

class UnigramModel : public WordModel {
 public:
  // Error kInput names `where` and a piece that is longer than any model has.
  UnigramModel(UnigramParts parts, const std::string& where);

  void encode(std::string_view word, std::vector<int>& ids) const override;
  TokenBound bound() const override;

 private:
  struct Piece {
    uint32_t begin, end;
    int id;
  };
  template <typename Sum>
  std::vector<Piece> best_pieces(std::string_view word) const;
  void append_unknown(std::string_view text, std::vector<int>& ids) const;

  UnigramParts parts_;
  PieceTrie trie_;
  size_t max_bytes_ = 1;
};

struct UnigramVocabulary : PipelineParts {
  std::vector<double> scores;  // by id, as far as the model has tokens
  int unknown = -1;
  bool byte_fallback = false;
};

// Error kInput names vocabulary.where and what does not fit together.
std::unique_ptr<Tokenizer> make_unigram(UnigramVocabulary vocabulary);

}  // namespace selfalign::text
