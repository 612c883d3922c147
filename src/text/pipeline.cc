// SPDX-License-Identifier: Apache-2.0
#include "text/pipeline.h"

#include <algorithm>

#include "base/error.h"
#include "base/slices.h"
#include "text/token_bound.h"
#include "text/word_cache.h"

namespace selfalign::text {
namespace {

class Pipeline : public Tokenizer {
 public:
  Pipeline(PipelineParts parts, std::shared_ptr<const TokenIds> ids,
           std::unique_ptr<WordModel> model);

  std::vector<int> encode(std::string_view text,
                          bool parse_special) const override {
    return encode_stretches(text, parse_special, Begins::kText);
  }
  std::vector<int> encode_continuation(std::string_view text) const override {
    return encode_stretches(text, false, Begins::kInText);
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
    return id_of_token(*ids_, piece);
  }
  bool is_special(int id) const override {
    return special_[static_cast<size_t>(checked(id))];
  }

 private:
  int checked(int id) const;
  void add_tokens(const PipelineParts& parts);
  void set_special_ids(const PipelineParts& parts);
  void set_bound(const PipelineParts& parts);
  int first_special_named(std::initializer_list<const char*> names) const;
  std::vector<int> encode_stretches(std::string_view text, bool parse_special,
                                    Begins begins) const;
  void encode_text(std::string_view text, bool parse_special, Begins begins,
                   std::vector<int>& ids) const;
  void encode_plain(std::string_view text, Begins begins,
                    std::vector<int>& ids) const;

  std::string where_;
  std::vector<std::string> tokens_;  // by id, as a decoder takes them
  std::vector<std::string> bytes_;   // by id, as it leaves them
  std::vector<bool> special_;        // by id
  std::shared_ptr<const TokenIds> ids_;
  std::unique_ptr<WordModel> model_;
  AddedTokenFinder raw_added_;
  AddedTokenFinder normalized_added_;
  Normalizer normalizer_;
  PreTokenizer pre_tokenizer_;
  Decoder decoder_;
  int bos_ = -1;
  int eos_ = -1;
  bool adds_bos_;
  std::vector<int> end_tokens_;
  TokenBound bound_;
  WordCache cache_;
};

Pipeline::Pipeline(PipelineParts parts, std::shared_ptr<const TokenIds> ids,
                   std::unique_ptr<WordModel> model)
    : where_(parts.where),
      ids_(std::move(ids)),
      model_(std::move(model)),
      normalizer_(parts.normalizers, parts.where),
      pre_tokenizer_(parts.pre_tokenizer, parts.where),
      decoder_(parts.decoder, parts.where),
      adds_bos_(parts.adds_bos) {
  add_tokens(parts);
  set_special_ids(parts);
  set_bound(parts);
}

int Pipeline::checked(int id) const {
  if (id < 0 || id >= size()) {
    throw Error(ErrorKind::kInput,
                str(where_, ": expected a token id from 0 to ", size() - 1,
                    ", found ", id, "; use ids of this tokenizer"));
  }
  return id;
}

// An added token that is looked for in normalised text is normalised itself,
// and decoded from that.
void Pipeline::add_tokens(const PipelineParts& parts) {
  tokens_ = parts.tokens;
  special_.resize(tokens_.size());
  for (const std::string& token : tokens_) {
    bytes_.push_back(decoder_.token(token, false));
  }
  std::vector<AddedToken> raw, normalized;
  for (AddedToken added : parts.added) {
    const auto id = static_cast<size_t>(added.id);
    tokens_[id] = added.text;
    bytes_[id] = decoder_.is_byte_level() ? added.text
                                          : decoder_.token(added.text, false);
    special_[id] = added.special;
    if (!added.normalized) {
      raw.push_back(std::move(added));
      continue;
    }
    Begins begins = Begins::kText;
    const std::string normal = normalizer_.apply(added.text, begins);
    if (normal != added.text) {
      tokens_[id] = added.text = normal;
      bytes_[id] = decoder_.token(normal, false);
    }
    normalized.push_back(std::move(added));
  }
  raw_added_ = AddedTokenFinder(std::move(raw));
  normalized_added_ = AddedTokenFinder(std::move(normalized));
}

int Pipeline::first_special_named(
    std::initializer_list<const char*> names) const {
  for (const char* name : names) {
    const int id = token_id(name);
    if (id >= 0 && is_special(id)) return id;
  }
  return -1;
}

void Pipeline::set_special_ids(const PipelineParts& parts) {
  bos_ = parts.bos >= 0 ? checked(parts.bos)
                        : first_special_named({"<|begin_of_text|>", "<s>",
                                               "<|startoftext|>", "<bos>"});
  eos_ = parts.eos >= 0
             ? checked(parts.eos)
             : first_special_named({"<|endoftext|>", "<|end_of_text|>", "</s>",
                                    "<|im_end|>", "<|eot_id|>", "<eos>"});
  if (adds_bos_ && bos_ < 0) {
    fail_vocabulary(where_, "no BOS token, which a prompt should start");
  }
  if (eos_ >= 0) end_tokens_.push_back(eos_);
  for (const int id : parts.end_tokens) end_tokens_.push_back(checked(id));
  for (int id = 0; id < size(); ++id) {
    if (is_special(id) && is_end_token_text(bytes_[static_cast<size_t>(id)])) {
      end_tokens_.push_back(id);
    }
  }
  std::sort(end_tokens_.begin(), end_tokens_.end());
  end_tokens_.erase(std::unique(end_tokens_.begin(), end_tokens_.end()),
                    end_tokens_.end());
}

// A text is not always all words: patterns may remove some of it, added tokens
// may take white space along, and a normalizer may leave nothing of it.
void Pipeline::set_bound(const PipelineParts& parts) {
  using Kind = PreTokenizerStep::Kind;
  for (const PreTokenizerStep& step : parts.pre_tokenizer) {
    if (step.kind == Kind::kByteLevel ||
        (step.kind == Kind::kSplit &&
         step.behavior == SplitBehavior::kRemoved)) {
      return;
    }
  }
  for (const AddedToken& token : parts.added) {
    if (!token.special && (token.lstrip || token.rstrip)) return;
  }
  const size_t shrink = normalizer_.max_shrink();
  bound_ = model_->bound();
  const bool all = std::all_of(bound_.counts.begin(), bound_.counts.end(),
                               [](bool counts) { return counts; });
  // A form may make a byte that is dropped of one that is not.
  if (shrink == 0 || (!all && !normalizer_.empty())) {
    bound_ = {};
    return;
  }
  for (const PreTokenizerStep& step : parts.pre_tokenizer) {
    if (step.kind == Kind::kMetaspace && !all) bound_.counts[' '] = false;
  }
  for (const AddedToken& token : parts.added) {
    bound_.max_bytes =
        std::max({bound_.max_bytes, token.text.size(),
                  tokens_[static_cast<size_t>(token.id)].size()});
  }
  bound_.max_bytes *= shrink;
}

std::vector<int> Pipeline::encode_stretches(std::string_view text,
                                            bool parse_special,
                                            Begins begins) const {
  if (text.size() > UINT32_MAX / 4) {
    throw Error(ErrorKind::kInput,
                str(where_, ": expected a text below 1 GiB, found ",
                    text.size(), " bytes; cut it"));
  }
  std::vector<int> ids;
  for (const auto& piece : raw_added_.cut(text, parse_special)) {
    if (piece.id >= 0) {
      ids.push_back(piece.id);
    } else {
      encode_text(piece.text, parse_special, begins, ids);
    }
    begins = Begins::kAfterToken;
  }
  return ids;
}

void Pipeline::encode_text(std::string_view text, bool parse_special,
                           Begins begins, std::vector<int>& ids) const {
  std::string normal;
  if (!normalizer_.empty()) {
    normal = normalizer_.apply(text, begins);
    text = normal;
    end_slice();
  }
  if (normalized_added_.empty()) return encode_plain(text, begins, ids);
  for (const auto& piece : normalized_added_.cut(text, parse_special)) {
    if (piece.id >= 0) {
      ids.push_back(piece.id);
    } else {
      encode_plain(piece.text, begins, ids);
    }
    begins = Begins::kAfterToken;
  }
}

void Pipeline::encode_plain(std::string_view text, Begins begins,
                            std::vector<int>& ids) const {
  SliceCounter slices;
  const std::string_view border = model_->border();
  const auto add_part = [&](std::string_view part) {
    slices.count();
    if (cache_.append(part, ids)) return;
    std::vector<int> made;
    model_->encode(part, made);
    cache_.put(part, made);
    ids.insert(ids.end(), made.begin(), made.end());
  };
  const auto add_word = [&](std::string_view word) {
    if (border.empty()) return add_part(word);
    for_each_part(word, border, add_part);
  };
  pre_tokenizer_.split(text, add_word, begins);
}

std::string Pipeline::decode(const std::vector<int>& ids,
                             bool with_special) const {
  std::string out;
  bool first = true;
  for (const int id : ids) {
    if (is_special(id) && !with_special) continue;
    const auto index = static_cast<size_t>(id);
    out += first && !decoder_.is_byte_level()
               ? decoder_.token(tokens_[index], true)
               : bytes_[index];
    first = false;
  }
  return decoder_.whole(std::move(out));
}

std::string Pipeline::decode_token(int id, bool with_special) const {
  return is_special(id) && !with_special ? std::string()
                                         : bytes_[static_cast<size_t>(id)];
}

}  // namespace

void fail_vocabulary(const std::string& where, const std::string& found) {
  throw Error(ErrorKind::kInput,
              str(where, ": expected a sound tokenizer vocabulary, found ",
                  found, "; get the model's files again"));
}

std::shared_ptr<const TokenIds> ids_of_tokens(const PipelineParts& parts) {
  const size_t count = parts.tokens.size();
  if (count == 0 || count > kMaxTokens) {
    fail_vocabulary(parts.where, str(count, " tokens"));
  }
  auto ids = std::make_shared<TokenIds>();
  ids->reserve(count);
  for (size_t id = 0; id < count; ++id) {
    const std::string& token = parts.tokens[id];
    if (!token.empty()) ids->emplace(token, static_cast<int>(id));
  }
  for (const AddedToken& added : parts.added) {
    if (added.id < 0 || static_cast<size_t>(added.id) >= count) {
      fail_vocabulary(parts.where,
                      str("added token '", added.text, "' with id ", added.id));
    }
    (*ids)[added.text] = added.id;
  }
  return ids;
}

int id_of_token(const TokenIds& ids, std::string_view text) {
  const auto found = ids.find(text);
  return found == ids.end() ? -1 : found->second;
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

std::unique_ptr<Tokenizer> make_pipeline(PipelineParts parts,
                                         std::shared_ptr<const TokenIds> ids,
                                         std::unique_ptr<WordModel> model) {
  return std::make_unique<Pipeline>(std::move(parts), std::move(ids),
                                    std::move(model));
}

}  // namespace selfalign::text
