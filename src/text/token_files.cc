// SPDX-License-Identifier: Apache-2.0
#include "text/token_files.h"

#include <filesystem>
#include <map>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/number.h"
#include "text/tokenizer_json.h"

namespace selfalign::text {
namespace {

constexpr uint64_t kMaxSideFileBytes = uint64_t{16} << 20;

[[noreturn]] void fail(const std::string& where, const std::string& expected,
                       const std::string& found) {
  throw Error(ErrorKind::kInput, str(where, ": expected ", expected, ", found ",
                                     found, "; correct one of the files"));
}

bool has(const Json& object, const char* name) {
  return object.is_object() && object.contains(name) && !object[name].is_null();
}

// Of a member that may be absent.
const Json& container(const Json& object, const char* name,
                      const std::string& where, bool is_array) {
  static const Json none_object = Json::object();
  static const Json none_array = Json::array();
  if (!has(object, name)) return is_array ? none_array : none_object;
  const Json& value = object[name];
  if (is_array ? !value.is_array() : !value.is_object()) {
    fail(where, str("an ", is_array ? "array '" : "object '", name, "'"),
         value.type_name());
  }
  return value;
}

int id_of(const Json& value, const std::string& text,
          const std::string& where) {
  if (!value.is_number_integer() || value < 0 || value > INT32_MAX) {
    fail(where, str("an id for token '", text, "'"), value.dump());
  }
  return value.get<int>();
}

AddedToken token_of(const Json& entry, const std::string& where) {
  AddedToken token;
  token.text = json_string(entry, "content", where);
  token.special = json_bool_or(entry, "special", where, false);
  token.lstrip = json_bool_or(entry, "lstrip", where, false);
  token.rstrip = json_bool_or(entry, "rstrip", where, false);
  token.single_word = json_bool_or(entry, "single_word", where, false);
  return token;
}

bool same_ways(const AddedToken& a, const AddedToken& b) {
  return a.special == b.special && a.lstrip == b.lstrip &&
         a.rstrip == b.rstrip && a.single_word == b.single_word;
}

// Tokens as the files state them, each with the file that did so first.
class Statements {
 public:
  explicit Statements(const SentencePieceVocabulary& model) : model_(model) {}

  // `has_ways`: the file says more than text and id.
  void add(AddedToken token, bool has_ways, const std::string& where) {
    const auto id = static_cast<size_t>(token.id);
    if (id < model_.pieces.size() && model_.pieces[id] != token.text) {
      fail(where,
           str("token ", id, " as ", model_.where, " has it ('",
               model_.pieces[id], "')"),
           str("'", token.text, "'"));
    }
    const auto known_id = ids_.find(token.text);
    if (known_id != ids_.end() && known_id->second != token.id) {
      fail(where,
           str("'", token.text, "' as token ", known_id->second, ", as in ",
               by_id_.at(known_id->second).where),
           str(token.id));
    }
    ids_[token.text] = token.id;
    const auto [at, is_new] =
        by_id_.try_emplace(token.id, Stated{token, has_ways, where});
    if (is_new) return;
    Stated& known = at->second;
    if (known.token.text != token.text) {
      fail(where,
           str("'", known.token.text, "' as token ", token.id, ", as in ",
               known.where),
           str("'", token.text, "'"));
    }
    if (has_ways && known.has_ways && !same_ways(known.token, token)) {
      fail(where,
           str("token '", token.text,
               "' with the same special, lstrip, rstrip and single_word as in ",
               known.where),
           "others");
    }
    if (has_ways && !known.has_ways) known = {token, true, where};
  }

  void add_special_name(const std::string& text) { special_.insert(text); }

  std::vector<AddedToken> tokens() const {
    std::vector<AddedToken> all;
    for (const auto& [id, stated] : by_id_) {
      all.push_back(stated.token);
      all.back().special |= special_.contains(stated.token.text);
    }
    return all;
  }

 private:
  struct Stated {
    AddedToken token;
    bool has_ways;
    std::string where;
  };

  const SentencePieceVocabulary& model_;
  std::map<int, Stated> by_id_;
  std::map<std::string, int> ids_;
  std::set<std::string> special_;
};

// A string, an object with "content", or a list or an object of such.
void add_special_names(const Json& value, const std::string& where,
                       Statements& out) {
  if (value.is_string()) {
    out.add_special_name(value.get<std::string>());
  } else if (value.is_object() && value.contains("content")) {
    out.add_special_name(json_string(value, "content", where));
  } else if (value.is_structured()) {
    for (const Json& part : value) add_special_names(part, where, out);
  }
}

void add_special_members(const Json& json, const std::string& where,
                         Statements& out) {
  for (const char* name :
       {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token",
        "cls_token", "mask_token", "additional_special_tokens",
        "extra_special_tokens"}) {
    if (has(json, name)) add_special_names(json[name], where, out);
  }
}

void read_config(const Json& json, const std::string& where, Statements& out) {
  for (const auto& [id, entry] :
       container(json, "added_tokens_decoder", where, false).items()) {
    AddedToken token = token_of(entry, where);
    const auto number = parse_number<int>(id, 0);
    token.id = id_of(number ? Json(*number) : Json(id), token.text, where);
    out.add(std::move(token), true, where);
  }
  add_special_members(json, where, out);
}

void read_added(const Json& json, const std::string& where, Statements& out) {
  for (const auto& [text, id] : json.items()) {
    AddedToken token;
    token.text = text;
    token.id = id_of(id, text, where);
    out.add(std::move(token), false, where);
  }
}

// Where a fast tokenizer puts the dummy prefix.
void read_prefix(const Json& json, const std::string& where,
                 SentencePieceVocabulary& out) {
  if (!has(json, "type")) return;
  const std::string type = json_string(json, "type", where);
  for (const char* parts : {"normalizers", "pretokenizers"}) {
    for (const Json& part : container(json, parts, where, true)) {
      read_prefix(part, where, out);
    }
  }
  if (type == "Prepend") out.prefix_after_added = true;
  if (type != "Metaspace") return;
  const bool adds = json_bool_or(json, "add_prefix_space", where, true);
  const std::string scheme =
      json_string_or(json, "prepend_scheme", where, adds ? "always" : "never");
  out.prefix_before_space = false;
  out.prefix_after_added = scheme == "always";
  if (scheme == "never") out.add_dummy_prefix = false;
}

void read_fast(const std::string& where, Statements& tokens,
               SentencePieceVocabulary& out) {
  const TokenizerFile file = open_tokenizer_json(where);
  if (!file.is_sentencepiece()) return;
  const Json& json = file.rest;
  for (const Json& entry : container(json, "added_tokens", where, true)) {
    AddedToken token = token_of(entry, where);
    token.id = id_of(entry.value("id", Json()), token.text, where);
    tokens.add(std::move(token), true, where);
  }
  for (const auto& [text, id] : file.vocab.items()) {
    const auto at =
        id.is_number_unsigned() ? id.get<uint64_t>() : out.pieces.size();
    if (at < out.pieces.size() && out.pieces[at] != text) {
      fail(where,
           str("token ", at, " as ", out.where, " has it ('", out.pieces[at],
               "')"),
           str("'", text, "'"));
    }
  }
  read_prefix(json.value("normalizer", Json()), where, out);
  read_prefix(json.value("pre_tokenizer", Json()), where, out);
}

// transformers 5 takes these from the configuration alone and, where it wrote
// that itself, has another default.
void read_legacy(const Json& json, const std::string& where,
                 SentencePieceVocabulary& out) {
  const bool is_new =
      json_string_or(json, "backend", where, "") == "tokenizers" &&
      json_string_or(json, "tokenizer_class", where, "").starts_with("Llama");
  if (has(json, "legacy")) {
    out.prefix_after_added = json_bool(json, "legacy", where);
  } else if (is_new) {
    out.prefix_after_added = false;
  }
  if (has(json, "add_prefix_space") &&
      !json_bool(json, "add_prefix_space", where)) {
    out.add_dummy_prefix = false;
  }
}

}  // namespace

void use_token_files(const std::string& folder, SentencePieceVocabulary& out) {
  Statements tokens(out);
  const std::string before = folder.empty() ? "./" : folder + "/";
  const auto read = [&](const char* name, auto&& use) {
    const std::string path = before + name;
    if (!std::filesystem::exists(path)) return;
    const Json json = parse_json(read_file(path, kMaxSideFileBytes), path);
    if (!json.is_object()) fail(path, "an object", json.type_name());
    use(json, path);
  };
  if (std::filesystem::exists(before + "tokenizer.json")) {
    read_fast(before + "tokenizer.json", tokens, out);
  }
  read("tokenizer_config.json", [&](const Json& json, const auto& where) {
    read_config(json, where, tokens);
    read_legacy(json, where, out);
  });
  read("added_tokens.json", [&](const Json& json, const auto& where) {
    read_added(json, where, tokens);
  });
  read("special_tokens_map.json", [&](const Json& json, const auto& where) {
    add_special_members(json, where, tokens);
  });
  out.added = tokens.tokens();
}

}  // namespace selfalign::text
