// SPDX-License-Identifier: Apache-2.0
#include "text/sentencepiece.h"

#include <algorithm>
#include <array>
#include <cfloat>
#include <cmath>

#include "base/error.h"
#include "base/number.h"
#include "base/shown.h"
#include "base/slices.h"
#include "text/char_bpe.h"
#include "text/charsmap.h"
#include "text/token_bound.h"
#include "text/unicode.h"
#include "text/unigram.h"
#include "text/word_cache.h"

namespace selfalign::text {
namespace {

constexpr std::string_view kUnknownText = " \xE2\x81\x87 ";  // U+2047

// "<0x0A>" is the byte 10; the digits are in upper case, as SentencePiece has
// them.
unsigned char byte_of_piece(const std::string& piece,
                            const std::string& where) {
  const bool framed =
      piece.size() == 6 && piece.starts_with("<0x") && piece.ends_with('>');
  const std::string digits = framed ? piece.substr(3, 2) : "";
  const auto byte = parse_hex_byte(digits);
  const bool lower = digits.find_first_of("abcdef") != std::string::npos;
  if (byte && !lower) return *byte;
  throw Error(ErrorKind::kInput,
              str(where, ": expected a byte piece like <0x0A>, found '",
                  shown(piece), "'; get the model's files again"));
}

class SentencePiece : public Tokenizer {
 public:
  explicit SentencePiece(SentencePieceVocabulary vocabulary);

  std::vector<int> encode(std::string_view text,
                          bool parse_special) const override {
    return encode_stretches(text, parse_special, false);
  }
  std::vector<int> encode_continuation(std::string_view text) const override {
    return encode_stretches(text, false, true);
  }
  size_t min_tokens(std::string_view text) const override {
    return bound_.min_tokens(text);
  }
  std::string decode(const std::vector<int>& ids,
                     bool with_special) const override;
  std::string decode_token(int id, bool with_special) const override;
  int size() const override { return static_cast<int>(v_.pieces.size()); }
  int bos() const override { return v_.bos; }
  int eos() const override { return v_.eos; }
  bool adds_bos() const override { return v_.adds_bos; }
  const std::vector<int>& end_tokens() const override { return v_.end_tokens; }
  int token_id(std::string_view piece) const override {
    return id_of_token(ids_, piece);
  }
  bool is_special(int id) const override {
    return type(id) == TokenType::kControl;
  }

 private:
  TokenType type(int id) const;
  // Whether it is a piece that text consists of, and not -1 or an added token.
  bool is_text(int id) const;
  int checked_or_none(int id, const char* name) const;
  void add_pieces();
  void add_byte_piece(int id);
  void add_added();
  void add_model();
  std::unique_ptr<WordModel> bpe_model() const;
  std::unique_ptr<WordModel> unigram_model() const;
  void set_end_tokens();
  void set_bound();
  // `continues`: text stands before it.
  std::vector<int> encode_stretches(std::string_view text, bool parse_special,
                                    bool continues) const;
  // `starts`: the dummy prefix belongs here.
  std::string normalize(std::string_view text, bool starts) const;
  void append_normal(std::string_view text, bool& after_space,
                     std::string& out) const;
  void append_replaced(std::string_view text, bool& after_space,
                       std::string& out) const;
  void encode_text(std::string_view text, bool starts,
                   std::vector<int>& ids) const;
  void encode_pieces(std::string_view text, std::vector<int>& ids) const;

  SentencePieceVocabulary v_;
  TokenIds ids_;
  std::array<int, 256> byte_ids_;  // -1: none
  std::vector<int> bytes_of_ids_;  // by id: the byte of a byte piece, or -1
  int num_pieces_ = 0;             // of the model; ids beyond are added tokens
  std::vector<bool> is_added_;     // by id
  AddedTokenFinder added_;         // control pieces and added tokens
  AddedTokenFinder user_defined_;
  std::unique_ptr<const Charsmap> charsmap_;
  std::unique_ptr<WordModel> model_;
  TokenBound bound_;
  WordCache cache_;
};

SentencePiece::SentencePiece(SentencePieceVocabulary vocabulary)
    : v_(std::move(vocabulary)) {
  byte_ids_.fill(-1);
  if (v_.pieces.empty() || v_.pieces.size() > kMaxTokens ||
      v_.scores.size() != v_.pieces.size() ||
      v_.types.size() != v_.pieces.size()) {
    throw Error(
        ErrorKind::kInput,
        str(v_.where,
            ": expected a score and a type for each piece, "
            "found ",
            v_.pieces.size(), " pieces, ", v_.scores.size(), " scores, ",
            v_.types.size(), " types; get the model's files again"));
  }
  num_pieces_ = size();
  add_pieces();
  add_added();
  v_.unknown = checked_or_none(v_.unknown, "unknown");
  add_model();
  v_.bos = checked_or_none(v_.bos, "BOS");
  v_.eos = checked_or_none(v_.eos, "EOS");
  v_.adds_bos = v_.adds_bos && v_.bos >= 0;
  set_end_tokens();
  set_bound();
}

int SentencePiece::checked_or_none(int id, const char* name) const {
  if (id >= size()) {
    throw Error(ErrorKind::kInput,
                str(v_.where, ": expected the ", name, " piece below ", size(),
                    ", found ", id, "; get the model's files again"));
  }
  return id < 0 ? -1 : id;
}

TokenType SentencePiece::type(int id) const {
  if (id < 0 || id >= size()) {
    throw Error(ErrorKind::kInput,
                str(v_.where, ": expected a token id from 0 to ", size() - 1,
                    ", found ", id, "; use ids of this tokenizer"));
  }
  return v_.types[static_cast<size_t>(id)];
}

bool SentencePiece::is_text(int id) const {
  if (id < 0 || id >= num_pieces_) return false;
  const TokenType kind = type(id);
  return kind == TokenType::kNormal || kind == TokenType::kUserDefined;
}

void SentencePiece::add_pieces() {
  // Before the pieces: what a file says of a control piece counts.
  std::vector<AddedToken> added = v_.added;
  std::vector<AddedToken> user_defined;
  bytes_of_ids_.assign(v_.pieces.size(), -1);
  for (size_t i = 0; i < v_.pieces.size(); ++i) {
    const std::string& piece = v_.pieces[i];
    const int id = static_cast<int>(i);
    if (!std::isfinite(v_.scores[i])) {
      throw Error(
          ErrorKind::kInput,
          str(v_.where, ": expected a finite score for piece ", i, ", found ",
              v_.scores[i], "; get the model's files again"));
    }
    if (!piece.empty()) ids_.emplace(piece, id);
    AddedToken token;
    token.id = id;
    token.text = piece;
    switch (v_.types[i]) {
      case TokenType::kByte:
        add_byte_piece(id);
        break;
      case TokenType::kControl:
        token.special = true;
        added.push_back(std::move(token));
        break;
      case TokenType::kUserDefined:
        user_defined.push_back(std::move(token));
        break;
      default:
        break;
    }
  }
  added_ = AddedTokenFinder(std::move(added));
  user_defined_ = AddedTokenFinder(std::move(user_defined));
}

void SentencePiece::add_byte_piece(int id) {
  const std::string& piece = v_.pieces[static_cast<size_t>(id)];
  const unsigned char byte = byte_of_piece(piece, v_.where);
  if (byte_ids_[byte] >= 0) {
    throw Error(ErrorKind::kInput,
                str(v_.where, ": expected one piece for each byte, found '",
                    shown(piece), "' again as piece ", id,
                    "; get the model's files again"));
  }
  byte_ids_[byte] = id;
  bytes_of_ids_[static_cast<size_t>(id)] = byte;
}

// Ids between the last piece and an added token that nothing names stand for
// no text.
void SentencePiece::add_added() {
  constexpr size_t kMaxGap = 1 << 16;
  const size_t end = v_.pieces.size() + v_.added.size() + kMaxGap;
  is_added_.assign(v_.pieces.size(), false);
  for (const AddedToken& token : v_.added) {
    const auto id = static_cast<size_t>(token.id);
    const bool fits = token.id >= 0 && id < end &&
                      (token.id >= num_pieces_ || v_.pieces[id] == token.text);
    if (!fits || token.text.empty()) {
      throw Error(
          ErrorKind::kInput,
          str(v_.where, ": expected added tokens with ids from ", num_pieces_,
              " on, or with the text of a piece, found '", shown(token.text),
              "' as ", token.id, "; get the model's files again"));
    }
    if (id >= v_.pieces.size()) {
      v_.pieces.resize(id + 1);
      v_.scores.resize(id + 1);
      v_.types.resize(id + 1, TokenType::kUnused);
      bytes_of_ids_.resize(id + 1, -1);
      is_added_.resize(id + 1);
    }
    v_.pieces[id] = token.text;
    if (v_.types[id] != TokenType::kUnknown) {
      v_.types[id] =
          token.special ? TokenType::kControl : TokenType::kUserDefined;
    }
    is_added_[id] = true;
    ids_[token.text] = token.id;
  }
}

void SentencePiece::add_model() {
  if (!v_.charsmap.empty()) {
    charsmap_ = std::make_unique<const Charsmap>(v_.charsmap, v_.where);
  }
  model_ = v_.is_unigram ? unigram_model() : bpe_model();
}

// User-defined pieces are none of it: they are cut out before.
std::unique_ptr<WordModel> SentencePiece::bpe_model() const {
  std::vector<ScoredPiece> pieces;
  for (int id = 0; id < num_pieces_; ++id) {
    const auto at = static_cast<size_t>(id);
    if (type(id) == TokenType::kNormal && !v_.pieces[at].empty()) {
      pieces.push_back({v_.pieces[at], v_.scores[at], id});
    }
  }
  CharBpeParts parts;
  if (v_.byte_fallback) parts.byte_ids = byte_ids_;
  parts.unknown = v_.unknown;
  parts.fuse_unknown = true;
  add_scored_pieces(pieces, size(), v_.where, parts);
  return std::make_unique<CharBpe>(std::move(parts));
}

// A user-defined piece has a score that no way around it reaches (as of version
// 0.2.3).
std::unique_ptr<WordModel> SentencePiece::unigram_model() const {
  UnigramParts parts;
  parts.is_float = true;
  parts.unknown = v_.unknown;
  if (v_.byte_fallback) parts.byte_ids = byte_ids_;
  float lowest = FLT_MAX;
  for (int id = 0; id < num_pieces_; ++id) {
    const auto at = static_cast<size_t>(id);
    const std::string& piece = v_.pieces[at];
    if (type(id) == TokenType::kNormal)
      lowest = std::min(lowest, v_.scores[at]);
    parts.scores.push_back(
        type(id) == TokenType::kUserDefined
            ? static_cast<float>(0.1 * (static_cast<double>(piece.size()) - 1))
            : v_.scores[at]);
    if (is_text(id) && !piece.empty()) parts.pieces.push_back({piece, id});
  }
  constexpr float kPenalty = 10;
  parts.unknown_score = lowest - kPenalty;
  return std::make_unique<UnigramModel>(std::move(parts), v_.where);
}

void SentencePiece::set_end_tokens() {
  if (v_.eos >= 0) v_.end_tokens.push_back(v_.eos);
  for (int id = 0; id < size(); ++id) {
    if (is_special(id) &&
        is_end_token_text(v_.pieces[static_cast<size_t>(id)])) {
      v_.end_tokens.push_back(id);
    }
  }
  for (const int id : v_.end_tokens) checked_or_none(id, "end");
  std::sort(v_.end_tokens.begin(), v_.end_tokens.end());
  v_.end_tokens.erase(std::unique(v_.end_tokens.begin(), v_.end_tokens.end()),
                      v_.end_tokens.end());
}

// A character without a piece is bytes or, together with its neighbours,
// unknown. Normalising makes no text shorter, but for white space or by a
// table.
void SentencePiece::set_bound() {
  if (charsmap_) return;
  for (const AddedToken& token : v_.added) {
    if (!token.special && (token.lstrip || token.rstrip)) return;
  }
  bool all_bytes = v_.byte_fallback;
  for (const int id : byte_ids_) all_bytes = all_bytes && id >= 0;
  for (size_t b = 0; b < 256; ++b) {
    const std::string piece(1, static_cast<char>(b));
    bound_.counts[b] = all_bytes || (b < 0x80 && is_text(token_id(piece)));
  }
  const bool keeps_space =
      all_bytes || is_text(token_id(v_.escape_whitespaces ? kSpaceMark : " "));
  bound_.counts[' '] = keeps_space && !v_.remove_extra_whitespaces;
  for (const std::string& piece : v_.pieces) {
    bound_.max_bytes = std::max(bound_.max_bytes, piece.size());
  }
}

std::vector<int> SentencePiece::encode_stretches(std::string_view text,
                                                 bool parse_special,
                                                 bool continues) const {
  std::vector<int> ids;
  bool starts = !continues;
  for (const auto& piece : added_.cut(text, parse_special)) {
    if (piece.id >= 0) {
      ids.push_back(piece.id);
      starts = v_.prefix_after_added;
    } else {
      encode_text(piece.text, starts, ids);
    }
  }
  return ids;
}

// With remove_extra_whitespaces a space behind one, or at either end, goes.
std::string SentencePiece::normalize(std::string_view text, bool starts) const {
  const std::string_view space = v_.escape_whitespaces ? kSpaceMark : " ";
  std::string out;
  out.reserve(text.size() + text.size() / 2 + space.size());
  bool after_space = starts && v_.remove_extra_whitespaces;
  for (const auto& piece : user_defined_.cut(text, false)) {
    if (piece.id >= 0) {
      append_replaced(piece.text, after_space, out);
    } else {
      append_normal(piece.text, after_space, out);
    }
  }
  while (v_.remove_extra_whitespaces && out.ends_with(space)) {
    out.resize(out.size() - space.size());
  }
  const bool prefix = starts && v_.add_dummy_prefix &&
                      (v_.prefix_before_space || !text.starts_with(' '));
  return prefix && !(v_.remove_extra_whitespaces && out.empty())
             ? str(space, out)
             : out;
}

void SentencePiece::append_normal(std::string_view text, bool& after_space,
                                  std::string& out) const {
  SliceCounter slices;
  for (size_t pos = 0; pos < text.size();) {
    slices.count();
    std::string_view part = text.substr(pos);
    if (const auto found = charsmap_ ? charsmap_->longest(part)
                                     : std::optional<Charsmap::Match>()) {
      part = found->replacement;
      pos += found->length;
    } else {
      const size_t length = charsmap_ ? utf8_char(text, pos).length : 1;
      part = part.substr(0, length);
      pos += length;
    }
    append_replaced(part, after_space, out);
  }
}

// A text that stands for one place: of its spaces only the first ones may go.
void SentencePiece::append_replaced(std::string_view text, bool& after_space,
                                    std::string& out) const {
  while (after_space && text.starts_with(' ')) text.remove_prefix(1);
  if (text.empty()) return;
  for (const char c : text) {
    if (c == ' ' && v_.escape_whitespaces) {
      out += kSpaceMark;
    } else {
      out += c;
    }
  }
  after_space = v_.remove_extra_whitespaces && text.ends_with(' ');
}

void SentencePiece::encode_text(std::string_view text, bool starts,
                                std::vector<int>& ids) const {
  if (text.size() > UINT32_MAX / 4) {
    throw Error(ErrorKind::kInput,
                str(v_.where, ": expected a text below 1 GiB, found ",
                    text.size(), " bytes; cut it"));
  }
  const std::string normal = normalize(text, starts);
  end_slice();
  if (normal.empty()) return;
  if (v_.is_unigram) return model_->encode(normal, ids);
  for (const auto& piece : user_defined_.cut(normal, false)) {
    if (piece.id >= 0) {
      ids.push_back(piece.id);
    } else {
      encode_pieces(piece.text, ids);
    }
  }
}

void SentencePiece::encode_pieces(std::string_view text,
                                  std::vector<int>& ids) const {
  SliceCounter slices;
  std::vector<int> made;
  for_each_part(text, model_->border(), [&](std::string_view part) {
    slices.count();
    if (cache_.append(part, ids)) return;
    made.clear();
    model_->encode(part, made);
    cache_.put(part, made);
    ids.insert(ids.end(), made.begin(), made.end());
  });
}

std::string SentencePiece::decode(const std::vector<int>& ids,
                                  bool with_special) const {
  const bool strips = v_.add_dummy_prefix || v_.remove_extra_whitespaces;
  std::string out;
  bool first = strips;
  for (const int id : ids) {
    std::string text = decode_token(id, with_special);
    if (is_special(id) || is_added_[static_cast<size_t>(id)]) {
      first = v_.prefix_after_added ? strips : first && id == v_.bos;
    } else {
      const bool spaced = bytes_of_ids_[static_cast<size_t>(id)] < 0 &&
                          type(id) != TokenType::kUnknown &&
                          text.starts_with(' ');
      if (first && spaced) text.erase(0, 1);
      // Where spaces at the beginning go, none of them stays.
      first = first && v_.remove_extra_whitespaces && spaced && text.empty();
    }
    out += text;
  }
  return out;
}

std::string SentencePiece::decode_token(int id, bool with_special) const {
  const TokenType kind = type(id);
  const auto index = static_cast<size_t>(id);
  if (kind == TokenType::kControl) {
    return with_special ? v_.pieces[index] : std::string();
  }
  if (kind == TokenType::kUnknown) return std::string(kUnknownText);
  if (bytes_of_ids_[index] >= 0) {
    return std::string(1, static_cast<char>(bytes_of_ids_[index]));
  }
  std::string text = v_.pieces[index];
  if (!v_.escape_whitespaces || is_added_[index]) return text;
  for (size_t pos = text.find(kSpaceMark); pos != std::string::npos;
       pos = text.find(kSpaceMark, pos + 1)) {
    text.replace(pos, kSpaceMark.size(), " ");
  }
  return text;
}

}  // namespace

std::unique_ptr<Tokenizer> make_sentencepiece(
    SentencePieceVocabulary vocabulary) {
  return std::make_unique<SentencePiece>(std::move(vocabulary));
}

}  // namespace selfalign::text
