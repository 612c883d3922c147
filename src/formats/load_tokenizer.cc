// SPDX-License-Identifier: Apache-2.0
#include "formats/load_tokenizer.h"

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/log.h"
#include "base/shown.h"
#include "formats/gguf.h"
#include "formats/model_path.h"
#include "text/byte_bpe.h"
#include "text/sentencepiece.h"
#include "text/tokenizer_json.h"

namespace selfalign::formats {
namespace {

using text::TokenType;

int id_or_none(const GgufFile& file, const char* name) {
  const std::string key = str("tokenizer.ggml.", name, "_token_id");
  const int64_t id = file.get_int_or(key, -1);
  if (id < -1 || id > INT32_MAX) {
    throw Error(ErrorKind::kInput,
                str(file.path(), ": expected a token id in ", key, ", found ",
                    id, "; get the file again"));
  }
  return static_cast<int>(id);
}

std::vector<TokenType> token_types(const GgufFile& file, size_t count) {
  constexpr const char* kKey = "tokenizer.ggml.token_type";
  std::vector<TokenType> types(count, TokenType::kNormal);
  if (file.find(kKey) == nullptr) return types;
  if (file.size_of(kKey) != count) {
    throw Error(ErrorKind::kInput,
                str(file.path(), ": expected ", count, " entries in ", kKey,
                    ", found ", file.size_of(kKey), "; get the file again"));
  }
  const std::vector<int64_t> stored = file.get_ints(kKey);
  for (size_t i = 0; i < count; ++i) {
    if (stored[i] < 1 || stored[i] > 6) {
      throw Error(ErrorKind::kInput,
                  str(file.path(), ": expected token types from 1 to 6, found ",
                      stored[i], " in ", kKey, "; get the file again"));
    }
    types[i] = static_cast<TokenType>(stored[i]);
  }
  return types;
}

std::vector<std::string> tokens_of(const GgufFile& file) {
  const auto tokens = file.get_strings("tokenizer.ggml.tokens");
  return {tokens.begin(), tokens.end()};
}

std::vector<int> end_tokens(const GgufFile& file) {
  std::vector<int> ids;
  for (const char* name : {"eot", "eom"}) {
    if (const int id = id_or_none(file, name); id >= 0) ids.push_back(id);
  }
  return ids;
}

text::BpeVocabulary byte_bpe(const GgufFile& file) {
  text::BpeVocabulary out;
  out.where = file.path();
  out.tokens = tokens_of(file);
  for (const std::string_view merge :
       file.get_strings("tokenizer.ggml.merges")) {
    // A part may begin with a space only if it is one: look behind it.
    const size_t space = merge.find(' ', 1);
    if (space == std::string_view::npos) {
      throw Error(ErrorKind::kInput,
                  str(file.path(), ": expected merges of two parts, found '",
                      shown(merge), "'; get the file again"));
    }
    out.merges.emplace_back(merge.substr(0, space), merge.substr(space + 1));
  }
  const char* const pre_key = "tokenizer.ggml.pre";
  if (file.find(pre_key) == nullptr) {
    log_warning(str(file.path(), ": no ", pre_key,
                    "; cutting words as llama.cpp's default does, which may "
                    "not be how the model was trained"));
  }
  const std::string pre = file.get_string_or(pre_key, "default");
  out.pre_tokenizer = text::pre_tokenizer_named(pre, file.path());
  out.ignore_merges = text::ignores_merges_named(pre);
  const auto types = token_types(file, out.tokens.size());
  for (size_t id = 0; id < types.size(); ++id) {
    const bool special = types[id] == TokenType::kControl;
    if (!special && types[id] != TokenType::kUserDefined) continue;
    text::AddedToken token;
    token.id = static_cast<int>(id);
    token.text = out.tokens[id];
    token.special = special;
    out.added.push_back(std::move(token));
  }
  out.bos = id_or_none(file, "bos");
  out.eos = id_or_none(file, "eos");
  out.end_tokens = end_tokens(file);
  out.adds_bos = file.get_bool_or("tokenizer.ggml.add_bos_token",
                                  out.ignore_merges && out.bos >= 0);
  return out;
}

// `is_unigram`: as T5 has it.
text::SentencePieceVocabulary sentencepiece(const GgufFile& file,
                                            bool is_unigram) {
  text::SentencePieceVocabulary out;
  out.is_unigram = is_unigram;
  out.where = file.path();
  out.pieces = tokens_of(file);
  out.types = token_types(file, out.pieces.size());
  for (const double score : file.get_floats("tokenizer.ggml.scores")) {
    out.scores.push_back(static_cast<float>(score));
  }
  constexpr const char* kCharsmap = "tokenizer.ggml.precompiled_charsmap";
  if (is_unigram && file.find(kCharsmap) != nullptr) {
    for (const int64_t byte : file.get_ints(kCharsmap)) {
      out.charsmap += static_cast<char>(byte & 0xFF);
    }
  }
  if (is_unigram) {
    out.byte_fallback = std::find(out.types.begin(), out.types.end(),
                                  TokenType::kByte) != out.types.end();
    out.remove_extra_whitespaces =
        file.get_bool_or("tokenizer.ggml.remove_extra_whitespaces", false);
  }
  out.unknown = id_or_none(file, "unknown");
  out.bos = id_or_none(file, "bos");
  out.eos = id_or_none(file, "eos");
  out.end_tokens = end_tokens(file);
  out.adds_bos = file.get_bool_or("tokenizer.ggml.add_bos_token", !is_unigram);
  out.add_dummy_prefix =
      file.get_bool_or("tokenizer.ggml.add_space_prefix", true);
  return out;
}

Vocabulary vocabulary_of(const GgufFile& file) {
  const std::string model = file.get_string("tokenizer.ggml.model");
  if (model == "gpt2") return byte_bpe(file);
  if (model == "llama") return sentencepiece(file, false);
  if (model == "t5") return sentencepiece(file, true);
  throw Error(ErrorKind::kInput,
              str(file.path(),
                  ": expected tokenizer.ggml.model gpt2, llama or t5, found '",
                  shown(model), "'; use the model's HF folder"));
}

Vocabulary of_json(const std::string& path) {
  return std::visit([](auto one) { return Vocabulary(std::move(one)); },
                    text::read_json_vocabulary(path));
}

std::unique_ptr<text::Tokenizer> make(Vocabulary vocabulary) {
  if (auto* unigram = std::get_if<text::UnigramVocabulary>(&vocabulary)) {
    return text::make_unigram(std::move(*unigram));
  }
  if (auto* bpe = std::get_if<text::BpeVocabulary>(&vocabulary)) {
    return text::make_byte_bpe(std::move(*bpe));
  }
  return text::make_sentencepiece(
      std::move(std::get<text::SentencePieceVocabulary>(vocabulary)));
}

}  // namespace

std::unique_ptr<text::Tokenizer> tokenizer_from_gguf(const GgufFile& file) {
  return make(vocabulary_of(file));
}

std::unique_ptr<text::Tokenizer> load_tokenizer(const std::string& path) {
  return make(load_vocabulary(path));
}

Vocabulary load_vocabulary(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code problem;
  const fs::file_status status = fs::status(path, problem);
  if (fs::is_directory(status)) {
    const std::string json = (fs::path(path) / "tokenizer.json").string();
    const std::string model = (fs::path(path) / "tokenizer.model").string();
    const bool has_model = fs::exists(model);
    if (fs::exists(json) &&
        !(has_model && text::open_tokenizer_json(json).is_sentencepiece())) {
      return of_json(json);
    }
    if (has_model) return text::read_sentencepiece_vocabulary(model);
    throw Error(ErrorKind::kInput,
                str(path,
                    ": this folder has neither tokenizer.json nor "
                    "tokenizer.model; point at a model's folder"));
  }
  if (!is_gguf(path)) {
    if (path.ends_with(".json")) return of_json(path);
    if (path.ends_with(".model"))
      return text::read_sentencepiece_vocabulary(path);
    if (!path.ends_with(".gguf")) {
      const char* found =
          fs::is_regular_file(status) ? "a file of another kind" : "no file";
      throw Error(
          ErrorKind::kInput,
          str(path,
              ": expected a folder, a GGUF file, or a file ending in "
              ".json or .model, found ",
              problem ? problem.message() : found, "; point at a model"));
    }
  }
  return vocabulary_of(*GgufFile::open(path));
}

}  // namespace selfalign::formats
