#include "text/added_tokens.h"

#include <algorithm>

#include "text/unicode.h"

namespace selfalign::text {
namespace {

// The start of the character that ends at `pos` > 0.
size_t char_before(std::string_view text, size_t pos) {
  size_t begin = pos - 1;
  for (int back = 0; back < 3 && begin > 0; ++back) {
    if ((static_cast<unsigned char>(text[begin]) & 0xC0) != 0x80) break;
    --begin;
  }
  return begin;
}

bool word_at(std::string_view text, size_t pos) {
  const int32_t code = utf8_char(text, pos).code;
  return code >= 0 && is_word(code);
}
bool space_at(std::string_view text, size_t pos) {
  const int32_t code = utf8_char(text, pos).code;
  return code >= 0 && is_space(code);
}

bool stands_alone(std::string_view text, size_t begin, size_t end) {
  if (begin > 0 && word_at(text, char_before(text, begin))) return false;
  return end >= text.size() || !word_at(text, end);
}

}  // namespace

void AddedTokenFinder::add(const AddedToken& token) {
  if (token.text.empty() || !tokens_.emplace(token.text, token).second) return;
  auto& lengths = lengths_[static_cast<unsigned char>(token.text[0])];
  const auto place = std::lower_bound(lengths.begin(), lengths.end(),
                                      token.text.size(), std::greater<>());
  if (place == lengths.end() || *place != token.text.size()) {
    lengths.insert(place, token.text.size());
  }
}

const AddedToken* AddedTokenFinder::find_at(std::string_view text,
                                            size_t pos) const {
  for (const size_t length : lengths_[static_cast<unsigned char>(text[pos])]) {
    if (length > text.size() - pos) continue;
    const auto found = tokens_.find(text.substr(pos, length));
    if (found != tokens_.end()) return &found->second;
  }
  return nullptr;
}

std::vector<AddedTokenFinder::Piece> AddedTokenFinder::cut(
    std::string_view text, bool parse_special) const {
  std::vector<Piece> pieces;
  size_t done = 0;
  for (size_t pos = 0; pos < text.size() && !tokens_.empty();) {
    const AddedToken* token = find_at(text, pos);
    if (token == nullptr) {
      ++pos;
      continue;
    }
    size_t begin = pos;
    size_t end = pos + token->text.size();
    if ((token->special && !parse_special) ||
        (token->single_word && !stands_alone(text, begin, end))) {
      pos = end;  // plain text, in which no other token is looked for
      continue;
    }
    while (token->lstrip && begin > done) {
      const size_t before = char_before(text, begin);
      if (before < done || !space_at(text, before)) break;
      begin = before;
    }
    while (token->rstrip && end < text.size() && space_at(text, end)) {
      end += utf8_char(text, end).length;
    }
    if (begin > done) pieces.push_back({text.substr(done, begin - done), -1});
    pieces.push_back({text.substr(begin, end - begin), token->id});
    done = pos = end;
  }
  if (done < text.size()) pieces.push_back({text.substr(done), -1});
  return pieces;
}

}  // namespace selfalign::text
