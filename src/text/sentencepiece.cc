// SPDX-License-Identifier: Apache-2.0
#include "text/sentencepiece.h"

#include <algorithm>
#include <cmath>
#include <queue>
#include <unordered_map>

#include "base/error.h"
#include "base/number.h"
#include "base/shown.h"
#include "base/slices.h"
#include "text/token_bound.h"
#include "text/unicode.h"

namespace selfalign::text {
namespace {

constexpr std::string_view kSpaceMark = "\xE2\x96\x81";      // U+2581
constexpr std::string_view kUnknownText = " \xE2\x81\x87 ";  // U+2047

struct Symbol {
  uint32_t begin, length;  // bytes of the normalised text; 0: joined away
  int32_t previous, next;  // -1: none
  bool frozen;             // a user-defined piece: never joined
};

struct Candidate {
  float score;
  int32_t left, right;
  uint32_t length;  // of both when it was proposed
  bool operator<(const Candidate& other) const {
    return score != other.score ? score < other.score : left > other.left;
  }
};

struct TextHash {
  using is_transparent = void;
  size_t operator()(std::string_view text) const {
    return std::hash<std::string_view>{}(text);
  }
};

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
    const auto found = ids_.find(piece);
    return found == ids_.end() ? -1 : found->second;
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
  void set_end_tokens();
  void set_bound();
  // `continues`: text stands before it.
  std::vector<int> encode_stretches(std::string_view text, bool parse_special,
                                    bool continues) const;
  // `starts`: the dummy prefix belongs here.
  std::string normalize(std::string_view text, bool starts) const;
  std::vector<Symbol> characters(std::string_view text) const;
  void join(std::string_view text, std::vector<Symbol>& symbols) const;
  void encode_text(std::string_view text, bool starts,
                   std::vector<int>& ids) const;
  void add_symbol(std::string_view piece, std::vector<int>& ids) const;

  SentencePieceVocabulary v_;
  std::unordered_map<std::string, int, TextHash, std::equal_to<>> ids_;
  std::vector<int> byte_ids_;      // 256 ids, -1: none
  std::vector<int> bytes_of_ids_;  // by id: the byte of a byte piece, or -1
  int num_pieces_ = 0;             // of the model; ids beyond are added tokens
  size_t max_piece_bytes_ = 0;
  std::vector<bool> is_added_;  // by id
  AddedTokenFinder added_;      // control pieces and added tokens
  AddedTokenFinder user_defined_;
  TokenBound bound_;
};

SentencePiece::SentencePiece(SentencePieceVocabulary vocabulary)
    : v_(std::move(vocabulary)), byte_ids_(256, -1) {
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
        max_piece_bytes_ = std::max(max_piece_bytes_, piece.size());
        break;
      case TokenType::kNormal:
        max_piece_bytes_ = std::max(max_piece_bytes_, piece.size());
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
// unknown. Normalising makes no text shorter, but for white space.
void SentencePiece::set_bound() {
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

std::string SentencePiece::normalize(std::string_view text, bool starts) const {
  if (v_.remove_extra_whitespaces) {
    size_t begin = text.find_first_not_of(' ');
    if (begin == std::string_view::npos) return "";
    if (!starts && begin > 0) --begin;  // between words
    text = text.substr(begin, text.find_last_not_of(' ') + 1 - begin);
  }
  const std::string_view space = v_.escape_whitespaces ? kSpaceMark : " ";
  std::string out;
  out.reserve(text.size() + text.size() / 2 + space.size());
  if (starts && v_.add_dummy_prefix &&
      (v_.prefix_before_space || !text.starts_with(' '))) {
    out += space;
  }
  bool was_space = false;
  for (const char c : text) {
    const bool is_blank = c == ' ';
    if (!is_blank) {
      out += c;
    } else if (!(was_space && v_.remove_extra_whitespaces)) {
      out += space;
    }
    was_space = is_blank;
  }
  return out;
}

// One symbol per character, user-defined piece or byte that is not UTF-8.
std::vector<Symbol> SentencePiece::characters(std::string_view text) const {
  std::vector<Symbol> symbols;
  const auto add = [&](size_t begin, size_t length, bool frozen) {
    const auto index = static_cast<int32_t>(symbols.size());
    symbols.push_back({static_cast<uint32_t>(begin),
                       static_cast<uint32_t>(length), index - 1, index + 1,
                       frozen});
  };
  size_t base = 0;
  for (const auto& piece : user_defined_.cut(text, false)) {
    if (piece.id >= 0) {
      add(base, piece.text.size(), true);
    } else {
      for (size_t pos = 0; pos < piece.text.size();) {
        const Utf8Char next = utf8_char(piece.text, pos);
        const size_t length = next.code < 0 ? 1 : next.length;
        add(base + pos, length, false);
        pos += length;
      }
    }
    base += piece.text.size();
  }
  if (!symbols.empty()) symbols.back().next = -1;
  return symbols;
}

void SentencePiece::join(std::string_view text,
                         std::vector<Symbol>& symbols) const {
  const auto symbol = [&](int32_t i) -> Symbol& {
    return symbols[static_cast<size_t>(i)];
  };
  std::priority_queue<Candidate> candidates;
  const auto propose = [&](int32_t left, int32_t right) {
    if (left < 0 || right < 0) return;
    const Symbol& a = symbol(left);
    const Symbol& b = symbol(right);
    const uint32_t length = a.length + b.length;
    if (a.frozen || b.frozen || length > max_piece_bytes_) return;
    const int id = token_id(text.substr(a.begin, length));
    if (!is_text(id)) return;
    candidates.push({v_.scores[static_cast<size_t>(id)], left, right, length});
  };
  SliceCounter slices;
  for (size_t i = 1; i < symbols.size(); ++i) {
    propose(static_cast<int32_t>(i) - 1, static_cast<int32_t>(i));
    slices.count();
  }
  while (!candidates.empty()) {
    slices.count();
    const Candidate top = candidates.top();
    candidates.pop();
    Symbol& left = symbol(top.left);
    Symbol& right = symbol(top.right);
    if (left.length == 0 || right.length == 0 ||
        left.length + right.length != top.length) {
      continue;
    }
    left.length = top.length;
    left.next = right.next;
    if (right.next >= 0) symbol(right.next).previous = top.left;
    right.length = 0;
    propose(left.previous, top.left);
    propose(top.left, left.next);
  }
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
  std::vector<Symbol> symbols = characters(normal);
  end_slice();
  join(normal, symbols);
  SliceCounter slices;
  for (const Symbol& s : symbols) {
    slices.count();
    if (s.length > 0) {
      add_symbol(std::string_view(normal).substr(s.begin, s.length), ids);
    }
  }
}

void SentencePiece::add_symbol(std::string_view piece,
                               std::vector<int>& ids) const {
  const int id = token_id(piece);
  if (is_text(id)) {
    ids.push_back(id);
    return;
  }
  bool have_bytes = v_.byte_fallback;
  for (const char c : piece) {
    have_bytes = have_bytes && byte_ids_[static_cast<unsigned char>(c)] >= 0;
  }
  if (!have_bytes) {
    // One unknown for neighbours without a piece, as SentencePiece does.
    if (v_.unknown >= 0 && (ids.empty() || ids.back() != v_.unknown)) {
      ids.push_back(v_.unknown);
    }
    return;
  }
  for (const char c : piece) {
    ids.push_back(byte_ids_[static_cast<unsigned char>(c)]);
  }
}

std::string SentencePiece::decode(const std::vector<int>& ids,
                                  bool with_special) const {
  std::string out;
  bool first = v_.add_dummy_prefix;
  for (const int id : ids) {
    std::string text = decode_token(id, with_special);
    if (is_special(id) || is_added_[static_cast<size_t>(id)]) {
      first =
          v_.prefix_after_added ? v_.add_dummy_prefix : first && id == v_.bos;
    } else {
      if (first && bytes_of_ids_[static_cast<size_t>(id)] < 0 &&
          text.starts_with(' ')) {
        text.erase(0, 1);
      }
      first = false;
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
