// SPDX-License-Identifier: Apache-2.0
#include "text/char_bpe.h"

#include <algorithm>
#include <unordered_map>

#include "base/error.h"
#include "base/shown.h"
#include "base/slices.h"
#include "text/unicode.h"

namespace selfalign::text {

bool keeps_spaces_apart(std::string_view left, std::string_view right) {
  return !right.starts_with(kSpaceMark) || left.ends_with(kSpaceMark);
}

CharBpe::CharBpe(CharBpeParts parts) : parts_(std::move(parts)) {}

bool CharBpe::append_bytes(std::string_view character,
                           std::vector<int>& ids) const {
  for (const char c : character) {
    if (parts_.byte_ids[static_cast<unsigned char>(c)] < 0) return false;
  }
  for (const char c : character) {
    ids.push_back(parts_.byte_ids[static_cast<unsigned char>(c)]);
  }
  return true;
}

void CharBpe::encode(std::string_view word, std::vector<int>& ids) const {
  std::vector<int> symbols;
  symbols.reserve(word.size());
  // As in the reference an unknown waits for the next token but for those of
  // bytes, and is in front of it.
  bool unknown = false;
  const auto add_unknown = [&] {
    if (unknown && parts_.unknown >= 0) symbols.push_back(parts_.unknown);
    unknown = false;
  };
  SliceCounter slices;
  for (size_t pos = 0; pos < word.size();) {
    slices.count();
    const Utf8Char next = utf8_char(word, pos);
    const size_t length = next.code < 0 ? 1 : next.length;
    const int id = parts_.characters.find(next.code);
    if (id >= 0) {
      add_unknown();
      symbols.push_back(id);
    } else if (!append_bytes(word.substr(pos, length), symbols)) {
      if (!parts_.fuse_unknown) add_unknown();
      unknown = true;
    }
    pos += length;
  }
  add_unknown();
  parts_.merges.apply(symbols);
  if (parts_.extra.empty()) {
    ids.insert(ids.end(), symbols.begin(), symbols.end());
  } else {
    append_merged(symbols, ids);
  }
}

void CharBpe::append_merged(const std::vector<int>& symbols,
                            std::vector<int>& ids) const {
  bool was_unknown = false;
  for (const int symbol : symbols) {
    bool unknown = symbol == parts_.unknown;
    if (symbol < parts_.first_extra) {
      if (!unknown) ids.push_back(symbol);
    } else {
      const auto extra = static_cast<size_t>(symbol - parts_.first_extra);
      unknown = !append_bytes(parts_.extra[extra], ids);
    }
    if (unknown && parts_.unknown >= 0 &&
        !(was_unknown && parts_.fuse_unknown)) {
      ids.push_back(parts_.unknown);
    }
    was_unknown = unknown;
  }
}

TokenBound CharBpe::bound() const {
  TokenBound bound;
  const bool all_bytes =
      std::none_of(parts_.byte_ids.begin(), parts_.byte_ids.end(),
                   [](int id) { return id < 0; });
  const bool all = all_bytes || (parts_.unknown >= 0 && !parts_.fuse_unknown);
  for (int b = 0; b < 256; ++b) {
    const int id = b < 0x80 ? parts_.characters.find(b) : -1;
    bound.counts[static_cast<size_t>(b)] =
        all || (id >= 0 && id < parts_.first_extra);
  }
  constexpr size_t kCharacter = 4;  // one unknown
  bound.max_bytes = std::max(parts_.max_token_bytes, kCharacter);
  return bound;
}

namespace {

// Merges of the ways to split each piece in two.
class Splitter {
 public:
  Splitter(const std::vector<ScoredPiece>& pieces, int num_ids,
           CharBpeParts& parts)
      : num_ids_(num_ids), parts_(parts) {
    ids_.reserve(pieces.size());
    for (const ScoredPiece& piece : pieces) ids_.emplace(piece.text, piece.id);
    for (const ScoredPiece& piece : pieces) {
      const Utf8Char first = utf8_char(piece.text, 0);
      if (first.code >= 0 && first.length == piece.text.size()) {
        parts_.characters.set(first.code, piece.id);
      }
    }
    parts_.parts_at_spaces = ids_.contains(kSpaceMark);
  }

  struct Merge {
    int left, right, joined;
    float score;
  };
  void add(const ScoredPiece& piece) {
    const std::string_view text = piece.text;
    for (size_t cut = utf8_char(text, 0).length; cut < text.size();
         cut += utf8_char(text, cut).length) {
      const int left = id_of(text.substr(0, cut));
      const int right = id_of(text.substr(cut));
      if (left < 0 || right < 0) continue;
      merges.push_back({left, right, piece.id, piece.score});
      parts_.parts_at_spaces =
          parts_.parts_at_spaces &&
          keeps_spaces_apart(text.substr(0, cut), text.substr(cut));
    }
  }

  std::vector<Merge> merges;

 private:
  // -1: neither a piece nor a character.
  int id_of(std::string_view text) {
    const auto found = ids_.find(text);
    if (found != ids_.end()) return found->second;
    const Utf8Char first = utf8_char(text, 0);
    if (first.code < 0 || first.length != text.size()) return -1;
    const int known = parts_.characters.find(first.code);
    if (known >= 0) return known;
    const int id = num_ids_ + static_cast<int>(parts_.extra.size());
    parts_.extra.emplace_back(text);
    parts_.characters.set(first.code, id);
    return id;
  }

  const int num_ids_;
  CharBpeParts& parts_;
  std::unordered_map<std::string_view, int> ids_;
};

}  // namespace

void add_scored_pieces(const std::vector<ScoredPiece>& pieces, int num_ids,
                       const std::string& where, CharBpeParts& parts) {
  parts.first_extra = num_ids;
  Splitter splitter(pieces, num_ids, parts);
  for (const ScoredPiece& piece : pieces) {
    if (piece.text.size() > kMaxPieceBytes) {
      throw Error(ErrorKind::kInput,
                  str(where, ": expected pieces of at most ", kMaxPieceBytes,
                      " bytes, found '", shown(piece.text),
                      "'; get the model's files again"));
    }
    parts.max_token_bytes = std::max(parts.max_token_bytes, piece.text.size());
    splitter.add(piece);
  }
  std::stable_sort(
      splitter.merges.begin(), splitter.merges.end(),
      [](const auto& a, const auto& b) { return a.score > b.score; });
  parts.merges = MergeTable(splitter.merges.size());
  int32_t rank = 0;
  for (size_t i = 0; i < splitter.merges.size(); ++i) {
    const Splitter::Merge& merge = splitter.merges[i];
    if (i > 0 && merge.score != splitter.merges[i - 1].score) ++rank;
    parts.merges.set(merge.left, merge.right, {rank, merge.joined});
  }
}

}  // namespace selfalign::text
