// SPDX-License-Identifier: Apache-2.0
#include "text/added_tokens.h"

#include <algorithm>

#include "base/error.h"
#include "base/slices.h"
#include "text/unicode.h"

namespace selfalign::text {
namespace {

constexpr size_t kMaxBytes = size_t{16} << 20;  // of all tokens' texts

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

AddedTokenFinder::AddedTokenFinder(std::vector<AddedToken> tokens)
    : tokens_(std::move(tokens)) {
  std::erase_if(tokens_, [](const AddedToken& t) { return t.text.empty(); });
  std::stable_sort(tokens_.begin(), tokens_.end(),
                   [](const AddedToken& a, const AddedToken& b) {
                     return std::lexicographical_compare(
                         a.text.rbegin(), a.text.rend(), b.text.rbegin(),
                         b.text.rend(), [](char x, char y) {
                           return static_cast<unsigned char>(x) <
                                  static_cast<unsigned char>(y);
                         });
                   });
  const auto same = [](const AddedToken& a, const AddedToken& b) {
    return a.text == b.text;
  };
  tokens_.erase(std::unique(tokens_.begin(), tokens_.end(), same),
                tokens_.end());
  size_t num_bytes = 0;
  for (const AddedToken& token : tokens_) {
    begins_[static_cast<unsigned char>(token.text[0])] = true;
    num_bytes += token.text.size();
  }
  if (num_bytes > kMaxBytes) {
    throw Error(ErrorKind::kInput,
                str("added tokens: expected at most ", kMaxBytes,
                    " bytes of text in all, found ", num_bytes,
                    "; get the model's files again"));
  }
  if (!tokens_.empty()) add_states();
}

// Breadth first: each state is the tokens that end alike, side by side as they
// are sorted, and so is made of its parent's.
void AddedTokenFinder::add_states() {
  struct Group {
    uint32_t begin, end;  // of tokens_
    uint32_t depth;       // bytes that they have in common at the end
  };
  std::vector<Group> groups = {{0, static_cast<uint32_t>(tokens_.size()), 0}};
  states_.resize(1);
  for (uint32_t at = 0; at < states_.size(); ++at) {
    const Group group = groups[at];
    const auto byte_of = [&](uint32_t i) {
      const std::string& text = tokens_[i].text;
      return static_cast<unsigned char>(text[text.size() - 1 - group.depth]);
    };
    uint32_t begin = group.begin;
    if (tokens_[begin].text.size() == group.depth) {
      states_[at].token = static_cast<int32_t>(begin++);
    }
    states_[at].first_longer = static_cast<uint32_t>(states_.size());
    while (begin < group.end) {
      const unsigned char byte = byte_of(begin);
      uint32_t stop = begin + 1;
      while (stop < group.end && byte_of(stop) == byte) ++stop;
      groups.push_back({begin, stop, group.depth + 1});
      states_.emplace_back().byte = byte;
      ++states_[at].num_longer;
      begin = stop;
    }
  }
  for (uint32_t at = 0; at < states_.size(); ++at) link(at);
}

// Gives the longer states of one that has its own fallback theirs.
void AddedTokenFinder::link(uint32_t state) {
  for (uint32_t i = 0; i < states_[state].num_longer; ++i) {
    State& longer = states_[states_[state].first_longer + i];
    if (state != 0)
      longer.fallback = next(states_[state].fallback, longer.byte);
    if (longer.token < 0) longer.token = states_[longer.fallback].token;
  }
}

// Where reading a byte leads to.
uint32_t AddedTokenFinder::next(uint32_t state, unsigned char byte) const {
  for (;; state = states_[state].fallback) {
    const State& from = states_[state];
    const auto first = states_.begin() + from.first_longer;
    const auto last = first + from.num_longer;
    const auto found = std::lower_bound(
        first, last, byte,
        [](const State& s, unsigned char wanted) { return s.byte < wanted; });
    if (found != last && found->byte == byte) {
      return static_cast<uint32_t>(found - states_.begin());
    }
    if (state == 0) return 0;
  }
}

std::vector<int32_t> AddedTokenFinder::find_all(std::string_view text) const {
  std::vector<int32_t> found(text.size(), -1);
  uint32_t state = 0;
  SliceCounter slices;
  for (size_t pos = text.size(); pos-- > 0;) {
    slices.count();
    state = next(state, static_cast<unsigned char>(text[pos]));
    found[pos] = states_[state].token;
  }
  return found;
}

std::vector<AddedTokenFinder::Piece> AddedTokenFinder::cut(
    std::string_view text, bool parse_special) const {
  std::vector<Piece> pieces;
  const auto may_begin = [this](char c) {
    return begins_[static_cast<unsigned char>(c)];
  };
  std::vector<int32_t> found;
  if (std::any_of(text.begin(), text.end(), may_begin)) found = find_all(text);
  SliceCounter slices;
  size_t done = 0;
  for (size_t pos = 0; pos < found.size();) {
    slices.count();
    if (found[pos] < 0) {
      ++pos;
      continue;
    }
    const AddedToken* token = &tokens_[static_cast<size_t>(found[pos])];
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
