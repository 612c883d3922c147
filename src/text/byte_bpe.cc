// SPDX-License-Identifier: Apache-2.0
#include "text/byte_bpe.h"

#include <algorithm>
#include <array>
#include <unordered_map>

#include "base/error.h"
#include "base/slices.h"
#include "text/merge_table.h"
#include "text/token_bound.h"
#include "text/word_cache.h"

namespace selfalign::text {
namespace {

// GPT-2's byte alphabet: printable Latin-1 characters stand for themselves,
// the other bytes in order for U+0100 and on.
struct ByteAlphabet {
  std::array<std::string, 256> text;
  std::unordered_map<int32_t, unsigned char> byte;

  ByteAlphabet() {
    int32_t next = 256;
    for (int32_t b = 0; b < 256; ++b) {
      const bool printable = (b >= 33 && b <= 126) || (b >= 161 && b != 173);
      const int32_t code = printable ? b : next++;
      append_utf8(text[static_cast<size_t>(b)], code);
      byte[code] = static_cast<unsigned char>(b);
    }
  }
};
const ByteAlphabet& alphabet() {
  static const ByteAlphabet instance;
  return instance;
}

// The bytes a token stands for; text outside the alphabet stands for itself.
std::string alphabet_to_bytes(const std::string& token) {
  std::string bytes;
  for (size_t pos = 0; pos < token.size();) {
    const Utf8Char next = utf8_char(token, pos);
    const auto found = alphabet().byte.find(next.code);
    if (found == alphabet().byte.end()) return token;
    bytes += static_cast<char>(found->second);
    pos += next.length;
  }
  return bytes;
}

class ByteBpe : public Tokenizer {
 public:
  explicit ByteBpe(BpeVocabulary vocabulary);

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
  int size() const override { return static_cast<int>(bytes_.size()); }
  int bos() const override { return bos_; }
  int eos() const override { return eos_; }
  bool adds_bos() const override { return adds_bos_; }
  const std::vector<int>& end_tokens() const override { return end_tokens_; }
  int token_id(std::string_view piece) const override {
    const auto found = ids_.find(std::string(piece));
    return found == ids_.end() ? -1 : found->second;
  }
  bool is_special(int id) const override {
    return special_[static_cast<size_t>(checked(id))];
  }

 private:
  [[noreturn]] void fail(const std::string& found) const;
  int checked(int id) const;
  void add_tokens(const BpeVocabulary& vocabulary);
  void add_merges(const BpeVocabulary& vocabulary);
  void set_special_ids(const BpeVocabulary& vocabulary);
  void set_bound(const BpeVocabulary& vocabulary);
  int first_special_named(std::initializer_list<const char*> names) const;
  // `continues`: text stands before it that is no token of its own.
  std::vector<int> encode_stretches(std::string_view text, bool parse_special,
                                    bool continues) const;
  void encode_text(std::string_view text, bool parse_special, bool continues,
                   std::vector<int>& ids) const;
  void encode_plain(std::string_view text, bool continues,
                    std::vector<int>& ids) const;
  std::vector<int> encode_word(std::string_view word) const;

  std::string where_;
  std::vector<std::string> bytes_;  // by id
  std::vector<bool> special_;       // by id
  std::unordered_map<std::string, int> ids_;
  std::array<int, 256> byte_ids_;  // -1: no token
  MergeTable merges_;
  AddedTokenFinder raw_added_;
  AddedTokenFinder normalized_added_;
  std::vector<TextForm> normalizers_;
  PreTokenizer pre_tokenizer_;
  bool ignore_merges_;
  int unknown_;
  bool fuse_unknown_;
  int bos_ = -1;
  int eos_ = -1;
  bool adds_bos_;
  std::vector<int> end_tokens_;
  TokenBound bound_;
  WordCache cache_;
};

ByteBpe::ByteBpe(BpeVocabulary vocabulary)
    : where_(vocabulary.where),
      merges_(vocabulary.merges.size()),
      normalizers_(vocabulary.normalizers),
      pre_tokenizer_(vocabulary.pre_tokenizer, vocabulary.where),
      ignore_merges_(vocabulary.ignore_merges),
      unknown_(vocabulary.unknown),
      fuse_unknown_(vocabulary.fuse_unknown),
      adds_bos_(vocabulary.adds_bos) {
  add_tokens(vocabulary);
  add_merges(vocabulary);
  set_special_ids(vocabulary);
  set_bound(vocabulary);
}

void ByteBpe::fail(const std::string& found) const {
  throw Error(ErrorKind::kInput,
              str(where_, ": expected a sound tokenizer vocabulary, found ",
                  found, "; get the model's files again"));
}

int ByteBpe::checked(int id) const {
  if (id < 0 || id >= size()) {
    throw Error(ErrorKind::kInput,
                str(where_, ": expected a token id from 0 to ", size() - 1,
                    ", found ", id, "; use ids of this tokenizer"));
  }
  return id;
}

void ByteBpe::add_tokens(const BpeVocabulary& vocabulary) {
  const size_t count = vocabulary.tokens.size();
  if (count == 0 || count > kMaxTokens) fail(str(count, " tokens"));
  bytes_.resize(count);
  special_.resize(count);
  ids_.reserve(count);
  for (size_t id = 0; id < count; ++id) {
    const std::string& token = vocabulary.tokens[id];
    bytes_[id] = alphabet_to_bytes(token);
    if (!token.empty()) ids_.emplace(token, static_cast<int>(id));
  }
  for (size_t b = 0; b < 256; ++b) {
    byte_ids_[b] = token_id(alphabet().text[b]);
  }
  std::vector<AddedToken> raw, normalized;
  for (const AddedToken& added : vocabulary.added) {
    if (added.id < 0 || added.id >= size()) {
      fail(str("added token '", added.text, "' with id ", added.id));
    }
    const auto id = static_cast<size_t>(added.id);
    bytes_[id] = added.text;
    special_[id] = added.special;
    ids_[added.text] = added.id;
    (added.normalized ? normalized : raw).push_back(added);
  }
  raw_added_ = AddedTokenFinder(std::move(raw));
  normalized_added_ = AddedTokenFinder(std::move(normalized));
  if (unknown_ >= size()) fail(str("unknown token ", unknown_));
}

void ByteBpe::add_merges(const BpeVocabulary& vocabulary) {
  int32_t rank = 0;
  for (const auto& [left, right] : vocabulary.merges) {
    const int left_id = token_id(left);
    const int right_id = token_id(right);
    const int joined = token_id(left + right);
    if (left_id < 0 || right_id < 0 || joined < 0) {
      fail(str("merge ", rank, " ('", left, "' and '", right,
               "') of something that is no token"));
    }
    merges_.set(left_id, right_id, {rank++, joined});
  }
}

int ByteBpe::first_special_named(
    std::initializer_list<const char*> names) const {
  for (const char* name : names) {
    const int id = token_id(name);
    if (id >= 0 && is_special(id)) return id;
  }
  return -1;
}

void ByteBpe::set_special_ids(const BpeVocabulary& vocabulary) {
  bos_ = vocabulary.bos >= 0 ? checked(vocabulary.bos)
                             : first_special_named({"<|begin_of_text|>", "<s>",
                                                    "<|startoftext|>"});
  eos_ = vocabulary.eos >= 0
             ? checked(vocabulary.eos)
             : first_special_named({"<|endoftext|>", "<|end_of_text|>", "</s>",
                                    "<|im_end|>", "<|eot_id|>"});
  if (adds_bos_ && bos_ < 0) fail("no BOS token, which a prompt should start");
  if (eos_ >= 0) end_tokens_.push_back(eos_);
  for (const int id : vocabulary.end_tokens) end_tokens_.push_back(checked(id));
  for (int id = 0; id < size(); ++id) {
    if (is_special(id) && is_end_token_text(bytes_[static_cast<size_t>(id)])) {
      end_tokens_.push_back(id);
    }
  }
  std::sort(end_tokens_.begin(), end_tokens_.end());
  end_tokens_.erase(std::unique(end_tokens_.begin(), end_tokens_.end()),
                    end_tokens_.end());
}

// Every byte of a word is part of a token, but for those that have none and are
// dropped or fused. A text is not always all words: patterns may remove some of
// it, added tokens may take white space along.
void ByteBpe::set_bound(const BpeVocabulary& vocabulary) {
  for (const PreTokenizerStep& step : vocabulary.pre_tokenizer) {
    if (step.kind == PreTokenizerStep::Kind::kSplit &&
        step.behavior == SplitBehavior::kRemoved) {
      return;
    }
  }
  for (const AddedToken& token : vocabulary.added) {
    if (!token.special && (token.lstrip || token.rstrip)) return;
  }
  bool all = true;
  for (size_t b = 0; b < 256; ++b) {
    bound_.counts[b] = byte_ids_[b] >= 0 || (unknown_ >= 0 && !fuse_unknown_);
    all = all && bound_.counts[b];
  }
  // A form may make a byte that is dropped of one that is not.
  if (!all && !normalizers_.empty()) return;
  for (const std::string& token : vocabulary.tokens) {
    bound_.max_bytes =
        std::max(bound_.max_bytes, alphabet_to_bytes(token).size());
  }
  for (const AddedToken& token : vocabulary.added) {
    bound_.max_bytes = std::max(bound_.max_bytes, token.text.size());
  }
  for (size_t i = 0; i < normalizers_.size(); ++i) {
    bound_.max_bytes *= kMaxFormShrink;
  }
}

std::vector<int> ByteBpe::encode_stretches(std::string_view text,
                                           bool parse_special,
                                           bool continues) const {
  std::vector<int> ids;
  for (const auto& piece : raw_added_.cut(text, parse_special)) {
    if (piece.id >= 0) {
      ids.push_back(piece.id);
    } else {
      encode_text(piece.text, parse_special, continues, ids);
    }
    continues = false;
  }
  return ids;
}

void ByteBpe::encode_text(std::string_view text, bool parse_special,
                          bool continues, std::vector<int>& ids) const {
  std::string normal;
  for (const TextForm form : normalizers_) {
    normal = to_form(text, form);
    text = normal;
    end_slice();
  }
  if (normalized_added_.empty()) return encode_plain(text, continues, ids);
  for (const auto& piece : normalized_added_.cut(text, parse_special)) {
    if (piece.id >= 0) {
      ids.push_back(piece.id);
    } else {
      encode_plain(piece.text, continues, ids);
    }
    continues = false;
  }
}

void ByteBpe::encode_plain(std::string_view text, bool continues,
                           std::vector<int>& ids) const {
  SliceCounter slices;
  const auto add_word = [&](std::string_view word) {
    slices.count();
    if (cache_.append(word, ids)) return;
    const std::vector<int> made = encode_word(word);
    cache_.put(word, made);
    ids.insert(ids.end(), made.begin(), made.end());
  };
  pre_tokenizer_.split(text, add_word, continues);
}

std::vector<int> ByteBpe::encode_word(std::string_view word) const {
  if (ignore_merges_) {
    const int whole = token_id(bytes_to_alphabet(word));
    if (whole >= 0 && !is_special(whole)) return {whole};
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
  return ids;
}

std::string ByteBpe::decode(const std::vector<int>& ids,
                            bool with_special) const {
  std::string out;
  for (const int id : ids) out += decode_token(id, with_special);
  return out;
}

std::string ByteBpe::decode_token(int id, bool with_special) const {
  return is_special(id) && !with_special ? std::string()
                                         : bytes_[static_cast<size_t>(id)];
}

}  // namespace

std::string bytes_to_alphabet(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) {
    out += alphabet().text[static_cast<unsigned char>(c)];
  }
  return out;
}

bool is_end_token_text(std::string_view text) {
  constexpr std::string_view kEndTexts[] = {
      "</s>",         "<|endoftext|>", "<|end_of_text|>", "<|im_end|>",
      "<|eot_id|>",   "<|eom_id|>",    "<|eot|>",         "<|end|>",
      "<|eos|>",      "<eos>",         "<end_of_turn>",   "<|end_of_turn|>",
      "<|endofturn|>"};
  return std::find(std::begin(kEndTexts), std::end(kEndTexts), text) !=
         std::end(kEndTexts);
}

std::unique_ptr<Tokenizer> make_byte_bpe(BpeVocabulary vocabulary) {
  return std::make_unique<ByteBpe>(std::move(vocabulary));
}

}  // namespace selfalign::text
