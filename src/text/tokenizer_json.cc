// SPDX-License-Identifier: Apache-2.0
#include "text/tokenizer_json.h"

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "text/byte_bpe.h"
#include "text/pipeline_json.h"
#include "text/unigram.h"

namespace selfalign::text {
namespace {

constexpr uint64_t kMaxTokenizerBytes = uint64_t{256} << 20;
constexpr uint64_t kMaxSideFileBytes = uint64_t{16} << 20;

bool is_null(const Json& object, const char* name) {
  return !object.contains(name) || object[name].is_null();
}

void check_bpe(const Json& model, const std::string& where) {
  for (const char* name : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    if (!is_null(model, name) && model[name] != "") {
      unknown_kind(where, "no", name, model[name].dump());
    }
  }
  if (!is_null(model, "dropout") && model["dropout"] != 0.0) {
    unknown_kind(where, "no", "dropout", model["dropout"].dump());
  }
}

// Big containers go to a map with logarithmic look-up; Json's keeps order.
using FastJson = nlohmann::json;

// Puts tokens where their ids are, within bounds.
class Placer {
 public:
  Placer(size_t num_tokens, PipelineParts& out)
      : max_id_(2 * num_tokens + 65536), out_(out) {}
  void place(const std::string& token, uint64_t id) {
    if (id >= max_id_) {
      unknown_kind(out_.where, "ids", str("below ", max_id_), str(id));
    }
    if (id >= out_.tokens.size()) out_.tokens.resize(id + 1);
    out_.tokens[id] = token;
  }

 private:
  const size_t max_id_;
  PipelineParts& out_;
};

void read_added(const Json& added, size_t num_tokens, PipelineParts& out) {
  Placer placer(num_tokens + added.size(), out);
  for (const Json& entry : added) {
    AddedToken token;
    token.text = json_string(entry, "content", out.where);
    const int64_t id = json_int(entry, "id", out.where);
    placer.place(token.text, static_cast<uint64_t>(id));
    token.id = static_cast<int>(id);
    token.special = json_bool_or(entry, "special", out.where, false);
    token.normalized =
        json_bool_or(entry, "normalized", out.where, !token.special);
    token.lstrip = json_bool_or(entry, "lstrip", out.where, false);
    token.rstrip = json_bool_or(entry, "rstrip", out.where, false);
    token.single_word = json_bool_or(entry, "single_word", out.where, false);
    out.added.push_back(std::move(token));
  }
}

void read_vocabulary(const FastJson& vocab, size_t num_added,
                     BpeVocabulary& out) {
  if (!vocab.is_object()) {
    unknown_kind(out.where, "an object", "'vocab'", vocab.type_name());
  }
  Placer placer(vocab.size() + num_added, out);
  for (const auto& [token, id] : vocab.items()) {
    if (!id.is_number_unsigned()) {
      unknown_kind(out.where, "an id for", token, id.dump());
    }
    placer.place(token, id.get<uint64_t>());
  }
}

// Pairs of a text and a score, by id.
void read_pieces(const FastJson& vocab, UnigramVocabulary& out) {
  if (!vocab.is_array() || vocab.empty() || vocab.size() > kMaxTokens) {
    unknown_kind(out.where, "an array of pieces", "as 'vocab'",
                 str(vocab.type_name(), " of ", vocab.size()));
  }
  for (const FastJson& piece : vocab) {
    if (!piece.is_array() || piece.size() != 2 || !piece[0].is_string() ||
        !piece[1].is_number()) {
      unknown_kind(out.where, "a text and a score", "as a piece", piece.dump());
    }
    out.tokens.push_back(piece[0].get<std::string>());
    out.scores.push_back(piece[1].get<double>());
  }
}

void read_merges(const FastJson& merges, BpeVocabulary& out) {
  if (!merges.is_array()) {
    unknown_kind(out.where, "an array", "'merges'", merges.type_name());
  }
  out.merges.reserve(merges.size());
  for (const FastJson& merge : merges) {
    if (merge.is_array() && merge.size() == 2 && merge[0].is_string() &&
        merge[1].is_string()) {
      out.merges.emplace_back(merge[0], merge[1]);
      continue;
    }
    const std::string text = merge.is_string() ? merge.get<std::string>() : "";
    const size_t space = text.find(' ');
    if (space == std::string::npos ||
        text.find(' ', space + 1) != std::string::npos) {
      unknown_kind(out.where, "merges", "of two parts", merge.dump());
    }
    out.merges.emplace_back(text.substr(0, space), text.substr(space + 1));
  }
}

// -1: none.
int id_in(const PipelineParts& vocabulary, const std::string& text) {
  for (const AddedToken& token : vocabulary.added) {
    if (token.text == text) return token.id;
  }
  const auto& tokens = vocabulary.tokens;
  const auto found = std::find(tokens.begin(), tokens.end(), text);
  return text.empty() || found == tokens.end()
             ? -1
             : static_cast<int>(found - tokens.begin());
}

void use_side_files(const SideFiles& side, const std::string& first_token,
                    PipelineParts& out) {
  out.bos = side.bos >= 0 ? side.bos : id_in(out, side.bos_text);
  out.eos = side.eos >= 0 ? side.eos : id_in(out, side.eos_text);
  out.end_tokens = side.end_tokens;
  if (!first_token.empty()) out.bos = id_in(out, first_token);
  out.adds_bos = side.adds_bos >= 0 ? side.adds_bos == 1 : !first_token.empty();
}

// A token in tokenizer_config.json: a string, or an object with "content".
std::string token_text(const Json& config, const char* name,
                       const std::string& where) {
  if (is_null(config, name)) return "";
  const Json& value = config[name];
  return value.is_object() ? json_string(value, "content", where)
                           : json_string(config, name, where);
}

// Ids under `name`: a number, an array of numbers, or absent.
std::vector<int> token_ids(const Json& config, const char* name,
                           const std::string& where) {
  std::vector<int> ids;
  if (is_null(config, name)) return ids;
  const Json& value = config[name];
  const Json list = value.is_array() ? value : Json::array({value});
  for (const Json& id : list) {
    if (!id.is_number_integer() || id < 0 || id > INT32_MAX) {
      unknown_kind(where, "token ids under", name, id.dump());
    }
    ids.push_back(id.get<int>());
  }
  return ids;
}

}  // namespace

SideFiles read_side_files(const std::string& folder) {
  SideFiles side;
  const auto read = [&](const char* name, const auto& use) {
    const std::string path = str(folder.empty() ? "." : folder, "/", name);
    if (!std::filesystem::exists(path)) return;
    use(parse_json(read_file(path, kMaxSideFileBytes), path), path);
  };
  read("tokenizer_config.json", [&](const Json& json, const auto& where) {
    side.bos_text = token_text(json, "bos_token", where);
    side.eos_text = token_text(json, "eos_token", where);
    if (!is_null(json, "add_bos_token")) {
      side.adds_bos = json_bool(json, "add_bos_token", where) ? 1 : 0;
    }
  });
  read("special_tokens_map.json", [&](const Json& json, const auto& where) {
    if (side.bos_text.empty()) {
      side.bos_text = token_text(json, "bos_token", where);
    }
    if (side.eos_text.empty()) {
      side.eos_text = token_text(json, "eos_token", where);
    }
  });
  const auto read_ids = [&](const Json& json, const std::string& where) {
    const auto bos = token_ids(json, "bos_token_id", where);
    const auto eos = token_ids(json, "eos_token_id", where);
    if (!bos.empty()) side.bos = bos[0];
    if (!eos.empty()) side.eos = eos[0];
    side.end_tokens.insert(side.end_tokens.end(), eos.begin(), eos.end());
  };
  read("config.json", read_ids);
  read("generation_config.json", read_ids);
  return side;
}

TokenizerFile open_tokenizer_json(const std::string& path) {
  FastJson file = parse_json_sorted(read_file(path, kMaxTokenizerBytes), path);
  if (!file.is_object() || !file.contains("model") ||
      !file["model"].is_object()) {
    unknown_kind(path, "an object with", "'model'", file.type_name());
  }
  TokenizerFile parts;
  parts.vocab = std::move(file["model"]["vocab"]);
  parts.merges = std::move(file["model"]["merges"]);
  file["model"].erase("vocab");
  file["model"].erase("merges");
  parts.rest = file;
  return parts;
}

bool TokenizerFile::is_sentencepiece() const {
  const Json& model = rest["model"];
  return !vocab.is_array() &&
         model.value("byte_fallback", Json(false)) == Json(true);
}

namespace {

// All but the model.
void read_parts(const TokenizerFile& file, bool& byte_level,
                PipelineParts& out) {
  const Json& rest = file.rest;
  out.normalizers =
      read_normalizers(rest.value("normalizer", Json()), out.where);
  out.pre_tokenizer = read_pre_tokenizers(rest.value("pre_tokenizer", Json()),
                                          out.where, byte_level);
  out.decoder = read_decoders(rest.value("decoder", Json()), out.where);
  const Json none = Json::array();
  read_added(is_null(rest, "added_tokens")
                 ? none
                 : array_of(rest, "added_tokens", out.where),
             file.vocab.size(), out);
  const auto folder = std::filesystem::path(out.where).parent_path();
  use_side_files(
      read_side_files(folder),
      first_added_token(rest.value("post_processor", Json()), out.where), out);
}

BpeVocabulary read_bpe(const TokenizerFile& file, const std::string& path) {
  const auto& [vocab, merges, rest] = file;
  const Json& model = rest["model"];
  BpeVocabulary out;
  out.where = path;
  check_bpe(model, path);
  const Json added = rest.value("added_tokens", Json());
  read_vocabulary(vocab, added.is_array() ? added.size() : 0, out);
  read_parts(file, out.byte_level, out);
  if (out.byte_level && out.decoder.empty()) out.decoder.emplace_back();
  read_merges(merges, out);
  out.byte_fallback = json_bool_or(model, "byte_fallback", path, false);
  if (out.byte_level && out.byte_fallback) {
    unknown_kind(path, "no byte_fallback", "beside ByteLevel", "both");
  }
  out.ignore_merges = json_bool_or(model, "ignore_merges", path, false);
  out.fuse_unknown = json_bool_or(model, "fuse_unk", path, false);
  if (!is_null(model, "unk_token")) {
    const std::string unknown = json_string(model, "unk_token", path);
    if (!vocab.contains(unknown) && id_in(out, unknown) < 0) {
      unknown_kind(path, "an unk_token", "in the vocabulary", unknown);
    }
    out.unknown = vocab.contains(unknown) ? vocab[unknown].get<int>()
                                          : id_in(out, unknown);
  }
  return out;
}

UnigramVocabulary read_unigram(const TokenizerFile& file,
                               const std::string& path) {
  const Json& model = file.rest["model"];
  UnigramVocabulary out;
  out.where = path;
  read_pieces(file.vocab, out);
  bool byte_level = false;
  read_parts(file, byte_level, out);
  if (byte_level) {
    out.pre_tokenizer.emplace_back().kind = PreTokenizerStep::Kind::kByteLevel;
  }
  out.byte_fallback = json_bool_or(model, "byte_fallback", path, false);
  if (!is_null(model, "unk_id")) {
    const int64_t id = json_int(model, "unk_id", path);
    if (id < 0 || static_cast<uint64_t>(id) >= out.scores.size()) {
      unknown_kind(path, "an unk_id", "of a piece", str(id));
    }
    out.unknown = static_cast<int>(id);
  }
  return out;
}

}  // namespace

JsonVocabulary read_json_vocabulary(const std::string& path) {
  const TokenizerFile file = open_tokenizer_json(path);
  const Json& model = file.rest["model"];
  // Old files name no type.
  const std::string type = json_string_or(
      model, "type", path, file.vocab.is_array() ? "Unigram" : "BPE");
  if (type == "BPE") return read_bpe(file, path);
  if (type == "Unigram") return read_unigram(file, path);
  unknown_kind(path, "a model of type", "BPE or Unigram", type);
}

std::unique_ptr<Tokenizer> read_tokenizer_json(const std::string& path) {
  JsonVocabulary vocabulary = read_json_vocabulary(path);
  if (auto* bpe = std::get_if<BpeVocabulary>(&vocabulary)) {
    return make_byte_bpe(std::move(*bpe));
  }
  return make_unigram(std::move(std::get<UnigramVocabulary>(vocabulary)));
}

}  // namespace selfalign::text
