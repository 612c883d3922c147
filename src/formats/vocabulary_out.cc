// SPDX-License-Identifier: Apache-2.0
#include "formats/vocabulary_out.h"

#include <algorithm>
#include <bit>

#include "base/error.h"
#include "base/file.h"
#include "base/json_file.h"
#include "text/pre_tokenizer.h"

namespace selfalign::formats {
namespace {

using text::BpeVocabulary;
using text::PreTokenizerStep;
using text::SentencePieceVocabulary;
using text::TokenType;

[[noreturn]] void fail(const std::string& where, const std::string& text) {
  throw Error(ErrorKind::kInput, where + ": " + text);
}

bool same(const PreTokenizerStep& a, const PreTokenizerStep& b) {
  return a.kind == b.kind && a.pattern == b.pattern &&
         a.behavior == b.behavior && a.invert == b.invert;
}

// ---- GGUF ----

// llama.cpp's name for the way the words are cut.
std::string pre_tokenizer_name(const BpeVocabulary& vocabulary) {
  for (const char* name :
       {"gpt-2", "smollm", "llama-bpe", "qwen2", "default"}) {
    const auto steps = text::pre_tokenizer_named(name, vocabulary.where);
    if (std::equal(steps.begin(), steps.end(), vocabulary.pre_tokenizer.begin(),
                   vocabulary.pre_tokenizer.end(), same)) {
      return name;
    }
  }
  fail(vocabulary.where,
       "its pre-tokenizer has no name in GGUF files that this program knows; "
       "export with --model merged");
}

void put_ids(const text::Tokenizer& tokens, GgufEntries& out) {
  const auto put = [&out](const char* name, int id) {
    if (id < 0) return;
    out.set(str("tokenizer.ggml.", name, "_token_id"),
            static_cast<uint32_t>(id));
  };
  put("bos", tokens.bos());
  put("eos", tokens.eos());
  std::vector<const char*> names = {"eot", "eom"};
  for (const int id : tokens.end_tokens()) {
    if (id == tokens.eos() || names.empty()) continue;
    put(names.front(), id);
    names.erase(names.begin());
  }
  out.set("tokenizer.ggml.add_bos_token",
          tokens.adds_bos() && tokens.bos() >= 0);
}

struct TokenList {
  std::vector<std::string> texts;
  std::vector<int32_t> types;

  void set(int64_t id, const std::string& text, TokenType type) {
    texts[static_cast<size_t>(id)] = text;
    types[static_cast<size_t>(id)] = static_cast<int32_t>(type);
  }
  void set_added(const std::vector<text::AddedToken>& added) {
    for (const text::AddedToken& token : added) {
      set(token.id, token.text,
          token.special ? TokenType::kControl : TokenType::kUserDefined);
    }
  }
};

// All tokens unused, under names that llama.cpp's conversion gives such.
TokenList unused_tokens(int64_t count) {
  TokenList list;
  for (int64_t i = 0; i < count; ++i) {
    list.texts.push_back(str("[PAD", i, "]"));
    list.types.push_back(static_cast<int32_t>(TokenType::kUnused));
  }
  return list;
}

void put(const text::UnigramVocabulary& in, int64_t /*num_rows*/,
         GgufEntries& /*out*/) {
  fail(in.where,
       "a tokenizer.json of type Unigram has no place in a GGUF file; export "
       "with --model merged");
}

void put(const BpeVocabulary& in, int64_t num_rows, GgufEntries& out) {
  if (!in.byte_level) {
    fail(in.where,
         "its merges are of characters, and those of a GGUF file of bytes; put "
         "the model's tokenizer.model beside it, or export with --model "
         "merged");
  }
  const std::string name = pre_tokenizer_name(in);
  if (in.ignore_merges != (name == "llama-bpe")) {
    fail(in.where,
         str("ignore_merges: expected ", name == "llama-bpe" ? "true" : "false",
             ", as GGUF's pre-tokenizer ", name,
             " means; export with --model merged"));
  }
  for (const text::NormalizerStep& step : in.normalizers) {
    if (step.kind == text::NormalizerStep::Kind::kForm &&
        step.form == text::TextForm::kNfc) {
      continue;
    }
    fail(in.where,
         "a normalizer other than NFC has no place in a GGUF file; export with "
         "--model merged");
  }
  TokenList list = unused_tokens(num_rows);
  for (size_t id = 0; id < in.tokens.size(); ++id) {
    if (in.tokens[id].empty()) continue;
    list.set(static_cast<int64_t>(id), in.tokens[id], TokenType::kNormal);
  }
  list.set_added(in.added);
  std::vector<std::string> merges;
  merges.reserve(in.merges.size());
  for (const auto& [left, right] : in.merges) {
    merges.push_back(left + ' ' + right);
  }
  out.set("tokenizer.ggml.model", "gpt2");
  out.set("tokenizer.ggml.pre", name);
  out.set("tokenizer.ggml.tokens", list.texts);
  out.set("tokenizer.ggml.token_type", list.types);
  out.set("tokenizer.ggml.merges", merges);
}

void put(const SentencePieceVocabulary& in, int64_t num_rows,
         GgufEntries& out) {
  if (in.is_unigram || !in.charsmap.empty()) {
    fail(in.where,
         "SentencePiece's unigram and its table of replacements are not "
         "written to GGUF files; export with --model merged");
  }
  if (!in.byte_fallback || in.remove_extra_whitespaces ||
      !in.escape_whitespaces) {
    fail(in.where,
         "expected byte fallback and white space that is kept, as GGUF's "
         "SentencePiece means; export with --model merged");
  }
  TokenList list = unused_tokens(num_rows);
  std::vector<float> scores(list.texts.size(), -1000.0f);
  for (size_t id = 0; id < in.pieces.size(); ++id) {
    list.set(static_cast<int64_t>(id), in.pieces[id], in.types[id]);
    scores[id] = in.scores[id];
  }
  list.set_added(in.added);
  if (in.unknown >= 0) {
    list.types[static_cast<size_t>(in.unknown)] =
        static_cast<int32_t>(TokenType::kUnknown);
    out.set("tokenizer.ggml.unknown_token_id",
            static_cast<uint32_t>(in.unknown));
  }
  out.set("tokenizer.ggml.model", "llama");
  out.set("tokenizer.ggml.pre", "default");
  out.set("tokenizer.ggml.tokens", list.texts);
  out.set("tokenizer.ggml.scores", scores);
  out.set("tokenizer.ggml.token_type", list.types);
  out.set("tokenizer.ggml.add_space_prefix", in.add_dummy_prefix);
}

// ---- HF ----

Json pre_tokenizer_json(const std::vector<PreTokenizerStep>& steps) {
  const auto byte_level = [](bool use_regex) {
    return Json{{"type", "ByteLevel"},
                {"add_prefix_space", false},
                {"trim_offsets", true},
                {"use_regex", use_regex}};
  };
  Json list = Json::array();
  bool uses_regex = false;
  for (size_t i = 0; i < steps.size(); ++i) {
    const bool is_last = i + 1 == steps.size();
    if (is_last && same(steps[i], text::gpt2_step())) {
      uses_regex = true;
    } else if (same(steps[i], text::digits_step(true)) ||
               same(steps[i], text::digits_step(false))) {
      list.push_back(
          {{"type", "Digits"},
           {"individual_digits", same(steps[i], text::digits_step(true))}});
    } else {
      list.push_back({{"type", "Split"},
                      {"pattern", {{"Regex", steps[i].pattern}}},
                      {"behavior", "Isolated"},
                      {"invert", false}});
    }
  }
  list.push_back(byte_level(uses_regex));
  return {{"type", "Sequence"}, {"pretokenizers", std::move(list)}};
}

Json added_token_json(const text::AddedToken& token) {
  return {{"id", token.id},
          {"content", token.text},
          {"single_word", token.single_word},
          {"lstrip", token.lstrip},
          {"rstrip", token.rstrip},
          {"normalized", token.normalized},
          {"special", token.special}};
}

// What puts BOS before a text.
Json post_processor_json(const text::Tokenizer& tokens,
                         const std::vector<std::string>& texts) {
  if (!tokens.adds_bos() || tokens.bos() < 0) {
    return {{"type", "ByteLevel"},
            {"add_prefix_space", true},
            {"trim_offsets", false},
            {"use_regex", true}};
  }
  const std::string bos = texts.at(static_cast<size_t>(tokens.bos()));
  const Json token = {{"SpecialToken", {{"id", bos}, {"type_id", 0}}}};
  const auto part = [](const char* name, int type) {
    return Json{{"Sequence", {{"id", name}, {"type_id", type}}}};
  };
  Json second = token;
  second["SpecialToken"]["type_id"] = 1;
  return {{"type", "TemplateProcessing"},
          {"single", Json::array({token, part("A", 0)})},
          {"pair", Json::array({token, part("A", 0), second, part("B", 1)})},
          {"special_tokens",
           {{bos,
             {{"id", bos},
              {"ids", Json::array({tokens.bos()})},
              {"tokens", Json::array({bos})}}}}}};
}

Json tokenizer_json(const BpeVocabulary& in, const text::Tokenizer& tokens) {
  Json::object_t vocab;  // no token stands twice, or the reader refuses it
  for (size_t id = 0; id < in.tokens.size(); ++id) {
    if (!in.tokens[id].empty()) vocab.emplace_back(in.tokens[id], id);
  }
  Json merges = Json::array();
  for (const auto& [left, right] : in.merges) {
    merges.push_back(Json::array({left, right}));
  }
  Json added = Json::array();
  for (const text::AddedToken& token : in.added) {
    added.push_back(added_token_json(token));
  }
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"added_tokens", std::move(added)},
          {"normalizer", nullptr},
          {"pre_tokenizer", pre_tokenizer_json(in.pre_tokenizer)},
          {"post_processor", post_processor_json(tokens, in.tokens)},
          {"decoder",
           {{"type", "ByteLevel"},
            {"add_prefix_space", true},
            {"trim_offsets", true},
            {"use_regex", true}}},
          {"model",
           {{"type", "BPE"},
            {"dropout", nullptr},
            {"unk_token", nullptr},
            {"continuing_subword_prefix", nullptr},
            {"end_of_word_suffix", nullptr},
            {"fuse_unk", false},
            {"byte_fallback", false},
            {"ignore_merges", in.ignore_merges},
            {"vocab", Json(std::move(vocab))},
            {"merges", std::move(merges)}}}};
}

// A protobuf message as it is written: fields of number and value.
class Message {
 public:
  Message& number(uint32_t field, uint64_t value) {
    varint(uint64_t{field} << 3);
    varint(value);
    return *this;
  }
  Message& id(uint32_t field, int value) {
    return number(field, static_cast<uint64_t>(int64_t{value}));
  }
  Message& real(uint32_t field, float value) {
    varint(uint64_t{field} << 3 | 5);
    const auto bits = std::bit_cast<uint32_t>(value);
    for (int shift = 0; shift < 32; shift += 8) {
      bytes_ += static_cast<char>(bits >> shift & 0xff);
    }
    return *this;
  }
  Message& text(uint32_t field, const std::string& value) {
    varint(uint64_t{field} << 3 | 2);
    varint(value.size());
    bytes_ += value;
    return *this;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  void varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) {
      bytes_ += static_cast<char>(value | 0x80);
    }
    bytes_ += static_cast<char>(value);
  }

  std::string bytes_;
};

// Fields of sentencepiece_model.proto, as sentencepiece_model.cc reads them.
std::string sentencepiece_model(const SentencePieceVocabulary& in) {
  Message model;
  for (size_t i = 0; i < in.pieces.size(); ++i) {
    Message piece;
    piece.text(1, in.pieces[i])
        .real(2, in.scores[i])
        .number(3, static_cast<uint64_t>(in.types[i]));
    model.text(1, piece.bytes());
  }
  Message trainer;
  constexpr uint64_t kBpe = 2;
  trainer.number(3, kBpe)
      .number(4, in.pieces.size())
      .number(35, in.byte_fallback ? 1 : 0)
      .id(40, in.unknown)
      .id(41, in.bos)
      .id(42, in.eos)
      .id(43, -1);
  Message normalizer;
  normalizer.text(1, "identity")
      .number(3, in.add_dummy_prefix ? 1 : 0)
      .number(4, 0)
      .number(5, 1);
  model.text(2, trainer.bytes()).text(3, normalizer.bytes());
  return model.bytes();
}

// What both forms say of a token.
void put_special(const text::Tokenizer& tokens, Json& config) {
  const auto put = [&](const char* name, int id) {
    if (id >= 0) config[name] = tokens.decode_token(id, true);
  };
  put("bos_token", tokens.bos());
  put("eos_token", tokens.eos());
  config["add_bos_token"] = tokens.adds_bos() && tokens.bos() >= 0;
  config["clean_up_tokenization_spaces"] = false;
}

bool same_vocabulary(const Vocabulary& a, const Vocabulary& b) {
  if (const auto* bpe = std::get_if<BpeVocabulary>(&a)) {
    if (!std::holds_alternative<BpeVocabulary>(b)) return false;
    const auto& other = std::get<BpeVocabulary>(b);
    return bpe->tokens == other.tokens && bpe->merges == other.merges &&
           bpe->ignore_merges == other.ignore_merges &&
           std::equal(bpe->pre_tokenizer.begin(), bpe->pre_tokenizer.end(),
                      other.pre_tokenizer.begin(), other.pre_tokenizer.end(),
                      same);
  }
  const auto* one_pieces = std::get_if<SentencePieceVocabulary>(&a);
  const auto* other_pieces = std::get_if<SentencePieceVocabulary>(&b);
  if (one_pieces == nullptr || other_pieces == nullptr) return false;
  const auto &one = *one_pieces, &other = *other_pieces;
  return one.pieces == other.pieces && one.scores == other.scores &&
         one.types == other.types;
}

}  // namespace

void put_gguf_vocabulary(const Vocabulary& vocabulary,
                         const text::Tokenizer& tokens, int64_t num_rows,
                         GgufEntries& out) {
  const auto& where = std::visit(
      [](const auto& one) -> const std::string& { return one.where; },
      vocabulary);
  if (tokens.size() > num_rows) {
    fail(where, str("expected a tokenizer of at most ", num_rows,
                    " tokens, as the model has, found ", tokens.size(),
                    "; use files that belong together"));
  }
  std::visit([&](const auto& one) { put(one, num_rows, out); }, vocabulary);
  put_ids(tokens, out);
}

std::vector<std::string> write_hf_vocabulary(const std::string& folder,
                                             const Vocabulary& vocabulary,
                                             const text::Tokenizer& tokens,
                                             Json config) {
  const auto* bpe = std::get_if<BpeVocabulary>(&vocabulary);
  const std::string name =
      bpe != nullptr ? "tokenizer.json" : "tokenizer.model";
  const std::string path = str(folder, "/", name);
  if (bpe != nullptr) {
    write_json_file(path, tokenizer_json(*bpe, tokens), 2);
    config["tokenizer_class"] = "PreTrainedTokenizerFast";
  } else {
    const auto* found = std::get_if<SentencePieceVocabulary>(&vocabulary);
    if (found == nullptr || found->is_unigram || !found->charsmap.empty()) {
      fail(std::visit([](const auto& one) { return one.where; }, vocabulary),
           "a vocabulary of type unigram is not written anew; take the model's "
           "own HF folder for the base");
    }
    const SentencePieceVocabulary& pieces = *found;
    write_file_atomic(path, sentencepiece_model(pieces));
    config["tokenizer_class"] = "LlamaTokenizer";
    config["legacy"] = true;
    config["unk_token"] =
        pieces.pieces.at(static_cast<size_t>(std::max(pieces.unknown, 0)));
  }
  put_special(tokens, config);
  write_json_file(folder + "/tokenizer_config.json", config, 2);
  if (!same_vocabulary(load_vocabulary(folder), vocabulary)) {
    fail(std::visit([](const auto& one) { return one.where; }, vocabulary),
         str("its vocabulary cannot be written as ", name,
             "; take the model's own HF folder for the base"));
  }
  return {name, "tokenizer_config.json"};
}

}  // namespace selfalign::formats
