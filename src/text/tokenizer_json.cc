// SPDX-License-Identifier: Apache-2.0
#include "text/tokenizer_json.h"

#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "text/byte_bpe.h"

namespace selfalign::text {
namespace {

constexpr uint64_t kMaxTokenizerBytes = uint64_t{256} << 20;
constexpr size_t kMaxSteps = 32;  // each goes through every text
constexpr uint64_t kMaxSideFileBytes = uint64_t{16} << 20;

[[noreturn]] void unknown_kind(const std::string& where,
                               const std::string& what,
                               const std::string& expected,
                               const std::string& found) {
  throw Error(ErrorKind::kInput,
              str(where, ": expected ", what, " ", expected, ", found ", found,
                  "; use a model with byte-level BPE, or its tokenizer.model"));
}

bool is_null(const Json& object, const char* name) {
  return !object.contains(name) || object[name].is_null();
}

const Json& array_of(const Json& object, const char* name,
                     const std::string& where) {
  if (!object.is_object() || !object.contains(name) ||
      !object[name].is_array()) {
    unknown_kind(where, str("an array '", name, "'"), "", "none");
  }
  return object[name];
}

void add_normalizers(const Json& json, const std::string& where,
                     std::vector<TextForm>& forms) {
  if (json.is_null()) return;
  const std::string type = json_string(json, "type", where);
  if (type == "Sequence") {
    for (const Json& part : array_of(json, "normalizers", where)) {
      add_normalizers(part, where, forms);
    }
  } else if (type == "NFC") {
    forms.push_back(TextForm::kNfc);
  } else if (type == "NFD") {
    forms.push_back(TextForm::kNfd);
  } else if (type == "NFKC") {
    forms.push_back(TextForm::kNfkc);
  } else if (type == "NFKD") {
    forms.push_back(TextForm::kNfkd);
  } else if (type == "Lowercase") {
    forms.push_back(TextForm::kLower);
  } else {
    unknown_kind(where, "a normalizer out of",
                 "NFC, NFD, NFKC, NFKD, Lowercase and Sequence", type);
  }
}

SplitBehavior split_behavior(const std::string& name,
                             const std::string& where) {
  if (name == "Isolated") return SplitBehavior::kIsolated;
  if (name == "Removed") return SplitBehavior::kRemoved;
  if (name == "MergedWithPrevious") return SplitBehavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return SplitBehavior::kMergedWithNext;
  if (name == "Contiguous") return SplitBehavior::kContiguous;
  unknown_kind(where, "a split behavior", "", name);
}

PreTokenizerStep split_step(const Json& json, const std::string& where) {
  PreTokenizerStep step;
  const Json pattern = json.value("pattern", Json::object());
  if (pattern.is_object() && pattern.contains("Regex")) {
    step.pattern = json_string(pattern, "Regex", where);
  } else {
    step.pattern = quote_pattern(json_string(pattern, "String", where));
  }
  step.behavior = split_behavior(json_string(json, "behavior", where), where);
  step.invert = json_bool_or(json, "invert", where, false);
  return step;
}

// Returns whether a ByteLevel was among them.
bool add_pre_tokenizers(const Json& json, const std::string& where,
                        std::vector<PreTokenizerStep>& steps) {
  if (json.is_null()) return false;
  const std::string type = json_string(json, "type", where);
  if (type == "Sequence") {
    bool byte_level = false;
    for (const Json& part : array_of(json, "pretokenizers", where)) {
      if (byte_level) {
        unknown_kind(where, "ByteLevel", "as the last pre-tokenizer",
                     part.dump());
      }
      byte_level = add_pre_tokenizers(part, where, steps);
    }
    return byte_level;
  }
  if (type == "ByteLevel") {
    if (json_bool_or(json, "add_prefix_space", where, true)) {
      steps.emplace_back().kind = PreTokenizerStep::Kind::kPrefixSpace;
    }
    if (json_bool_or(json, "use_regex", where, true)) {
      steps.push_back(gpt2_step());
    }
    return true;
  }
  if (type == "Split") {
    steps.push_back(split_step(json, where));
  } else if (type == "Digits") {
    steps.push_back(
        digits_step(json_bool_or(json, "individual_digits", where, false)));
  } else {
    unknown_kind(where, "a pre-tokenizer out of",
                 "ByteLevel, Split, Digits and Sequence", type);
  }
  return false;
}

// The token that a post-processor puts before a text; "" for none.
std::string first_added_token(const Json& json, const std::string& where) {
  if (json.is_null()) return "";
  const std::string type = json_string(json, "type", where);
  if (type == "ByteLevel") return "";  // offsets only
  if (type == "Sequence") {
    std::string first;
    for (const Json& part : array_of(json, "processors", where)) {
      const std::string token = first_added_token(part, where);
      if (!token.empty()) first = token;
    }
    return first;
  }
  if (type != "TemplateProcessing") {
    unknown_kind(where, "a post-processor out of",
                 "ByteLevel, TemplateProcessing and Sequence", type);
  }
  const Json& parts = array_of(json, "single", where);
  if (parts.empty() || !parts[0].is_object() ||
      !parts[0].contains("SpecialToken")) {
    return "";
  }
  return json_string(parts[0]["SpecialToken"], "id", where);
}

void check_model(const Json& model, const std::string& where) {
  const std::string type = json_string_or(model, "type", where, "BPE");
  if (type != "BPE") unknown_kind(where, "model type", "BPE", type);
  for (const char* name : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    if (!is_null(model, name) && model[name] != "") {
      unknown_kind(where, "no", name, model[name].dump());
    }
  }
  if (!is_null(model, "dropout") && model["dropout"] != 0.0) {
    unknown_kind(where, "no", "dropout", model["dropout"].dump());
  }
  if (json_bool_or(model, "byte_fallback", where, false)) {
    unknown_kind(where, "no", "byte_fallback", "true");
  }
}

// Big containers go to a map with logarithmic look-up; Json's keeps order.
using FastJson = nlohmann::json;

void read_vocabulary(const FastJson& vocab, const Json& added,
                     BpeVocabulary& out) {
  if (!vocab.is_object()) {
    unknown_kind(out.where, "an object", "'vocab'", vocab.type_name());
  }
  const size_t max_id = 2 * (vocab.size() + added.size()) + 65536;
  const auto place = [&](const std::string& token, uint64_t id) {
    if (id >= max_id) {
      unknown_kind(out.where, "ids", str("below ", max_id), str(id));
    }
    if (id >= out.tokens.size()) out.tokens.resize(id + 1);
    return &(out.tokens[id] = token);
  };
  for (const auto& [token, id] : vocab.items()) {
    if (!id.is_number_unsigned()) {
      unknown_kind(out.where, "an id for", token, id.dump());
    }
    place(token, id.get<uint64_t>());
  }
  for (const Json& entry : added) {
    AddedToken token;
    token.text = json_string(entry, "content", out.where);
    const int64_t id = json_int(entry, "id", out.where);
    place(token.text, static_cast<uint64_t>(id));
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

int id_in(const BpeVocabulary& vocabulary, const std::string& text) {
  for (const AddedToken& token : vocabulary.added) {
    if (token.text == text) return token.id;
  }
  return -1;
}

void use_side_files(const SideFiles& side, const std::string& first_token,
                    BpeVocabulary& out) {
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
  return rest["model"].value("byte_fallback", Json(false)) == Json(true);
}

BpeVocabulary read_bpe_vocabulary(const std::string& path) {
  const TokenizerFile file = open_tokenizer_json(path);
  const auto& [vocab, merges, rest] = file;

  BpeVocabulary out;
  out.where = path;
  const Json& model = rest["model"];
  check_model(model, path);
  add_normalizers(rest.value("normalizer", Json()), path, out.normalizers);
  if (!add_pre_tokenizers(rest.value("pre_tokenizer", Json()), path,
                          out.pre_tokenizer)) {
    unknown_kind(path, "pre-tokenizer", "ByteLevel", "none");
  }
  for (const size_t steps :
       {out.normalizers.size(), out.pre_tokenizer.size()}) {
    if (steps <= kMaxSteps) continue;
    unknown_kind(path, str("at most ", kMaxSteps),
                 "normalizers and pre-tokenizers", str(steps));
  }
  const Json none = Json::array();
  read_vocabulary(vocab,
                  is_null(rest, "added_tokens")
                      ? none
                      : array_of(rest, "added_tokens", path),
                  out);
  read_merges(merges, out);
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
  const auto folder = std::filesystem::path(path).parent_path();
  use_side_files(read_side_files(folder),
                 first_added_token(rest.value("post_processor", Json()), path),
                 out);
  return out;
}

std::unique_ptr<Tokenizer> read_tokenizer_json(const std::string& path) {
  return make_byte_bpe(read_bpe_vocabulary(path));
}

}  // namespace selfalign::text
