// SPDX-License-Identifier: Apache-2.0
#include "text/unigram.h"

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "base/error.h"
#include "base/shown.h"
#include "base/slices.h"
#include "text/unicode.h"

namespace selfalign::text {
namespace {

// Between two characters.
template <typename Sum>
struct Place {
  uint32_t begin = UINT32_MAX;  // of the best piece that ends here
  int id = -1;
  Sum score = 0;  // of the best cut up to here

  void reach(uint32_t from, int by, double exact) {
    const auto sum = static_cast<Sum>(exact);
    if (begin != UINT32_MAX && !(sum > score)) return;
    begin = from;
    id = by;
    score = sum;
  }
};

// SentencePiece's way to keep the sums of long texts exact: from time to time
// they start at 0 again.
template <typename Sum>
void keep_small(std::vector<Place<Sum>>& places, size_t at, size_t farthest) {
  constexpr Sum kTooBig = 100'000;
  const Sum score = places[at].score;
  if (score >= -kTooBig && score <= kTooBig) return;
  for (size_t i = at; i <= farthest; ++i) {
    if (i == at || places[i].begin != UINT32_MAX) places[i].score -= score;
  }
}

}  // namespace

UnigramModel::UnigramModel(UnigramParts parts, const std::string& where)
    : parts_(std::move(parts)), trie_(parts_.pieces) {
  for (const auto& [text, id] : parts_.pieces) {
    if (text.size() > kMaxPieceBytes) {
      throw Error(ErrorKind::kInput,
                  str(where, ": expected pieces of at most ", kMaxPieceBytes,
                      " bytes, found '", shown(text),
                      "'; get the model's files again"));
    }
    max_bytes_ = std::max(max_bytes_, text.size());
  }
  parts_.pieces = {};  // they may not live as long
}

// Cuts as long as the best cut of what is before them is known: a place is
// reached by each piece that ends there, of two equally good ones by that which
// begins first. In the order and with the roundings of the reference.
template <typename Sum>
std::vector<UnigramModel::Piece> UnigramModel::best_pieces(
    std::string_view word) const {
  std::vector<Place<Sum>> places(word.size() + 1);
  size_t farthest = 0;
  const auto reach = [&](size_t begin, size_t end, int id, double score) {
    farthest = std::max(farthest, end);
    places[end].reach(static_cast<uint32_t>(begin), id, score);
  };
  const auto unknown_score = static_cast<Sum>(parts_.unknown_score);
  SliceCounter slices;
  for (size_t begin = 0; begin < word.size();) {
    slices.count();
    if (std::is_same_v<Sum, float>) keep_small(places, begin, farthest);
    const Sum score = places[begin].score;
    const Utf8Char next = utf8_char(word, begin);
    const size_t length = next.code < 0 ? 1 : next.length;
    bool has_piece = false;
    trie_.for_each_prefix(word.substr(begin), [&](size_t piece_length, int id) {
      reach(begin, begin + piece_length, id,
            parts_.scores[static_cast<size_t>(id)] + score);
      has_piece = has_piece || piece_length == length;
    });
    if (!has_piece) {
      reach(begin, begin + length, parts_.unknown, unknown_score + score);
    }
    begin += length;
  }
  std::vector<Piece> pieces;
  for (auto end = static_cast<uint32_t>(word.size()); end > 0;) {
    const Place<Sum>& place = places[end];
    pieces.push_back({place.begin, end, place.id});
    end = place.begin;
  }
  std::reverse(pieces.begin(), pieces.end());
  return pieces;
}

void UnigramModel::encode(std::string_view word, std::vector<int>& ids) const {
  const std::vector<Piece> pieces =
      parts_.is_float ? best_pieces<float>(word) : best_pieces<double>(word);
  for (size_t i = 0; i < pieces.size(); ++i) {
    if (pieces[i].id != parts_.unknown) {
      ids.push_back(pieces[i].id);
      continue;
    }
    size_t last = i;
    while (last + 1 < pieces.size() && pieces[last + 1].id == parts_.unknown) {
      ++last;
    }
    append_unknown(
        word.substr(pieces[i].begin, pieces[last].end - pieces[i].begin), ids);
    i = last;
  }
}

void UnigramModel::append_unknown(std::string_view text,
                                  std::vector<int>& ids) const {
  if (parts_.looks_up_unknown) {
    const int id = trie_.find(text);
    if (id >= 0) return ids.push_back(id);
  }
  const auto id_of = [this](char c) {
    return parts_.byte_ids[static_cast<unsigned char>(c)];
  };
  if (std::all_of(text.begin(), text.end(),
                  [&](char c) { return id_of(c) >= 0; })) {
    for (const char c : text) ids.push_back(id_of(c));
  } else if (parts_.unknown >= 0) {
    ids.push_back(parts_.unknown);
  }
}

TokenBound UnigramModel::bound() const {
  TokenBound bound;
  const bool all_bytes =
      std::none_of(parts_.byte_ids.begin(), parts_.byte_ids.end(),
                   [](int id) { return id < 0; });
  for (size_t b = 0; b < 256; ++b) {
    const std::string byte(1, static_cast<char>(b));
    bound.counts[b] = all_bytes || (b < 0x80 && trie_.find(byte) >= 0);
  }
  bound.max_bytes = max_bytes_;
  return bound;
}

std::unique_ptr<Tokenizer> make_unigram(UnigramVocabulary vocabulary) {
  const std::shared_ptr<const TokenIds> ids = ids_of_tokens(vocabulary);
  UnigramParts parts;
  parts.looks_up_unknown = true;
  double lowest = INFINITY;
  for (size_t id = 0; id < vocabulary.scores.size(); ++id) {
    if (!std::isfinite(vocabulary.scores[id])) {
      fail_vocabulary(vocabulary.where,
                      str("a score of ", vocabulary.scores[id]));
    }
    lowest = std::min(lowest, vocabulary.scores[id]);
    const std::string& text = vocabulary.tokens[id];
    if (!text.empty()) parts.pieces.push_back({text, static_cast<int>(id)});
  }
  constexpr double kPenalty = 10;
  parts.unknown_score = lowest - kPenalty;
  parts.scores = vocabulary.scores;
  parts.unknown = vocabulary.unknown;
  constexpr const char* kDigits = "0123456789ABCDEF";
  for (size_t b = 0; b < 256 && vocabulary.byte_fallback; ++b) {
    const std::string token = {'<', '0', 'x', kDigits[b / 16], kDigits[b % 16],
                               '>'};
    parts.byte_ids[b] = id_of_token(*ids, token);
  }
  auto model =
      std::make_unique<UnigramModel>(std::move(parts), vocabulary.where);
  return make_pipeline(std::move(vocabulary), ids, std::move(model));
}

}  // namespace selfalign::text
