// SPDX-License-Identifier: Apache-2.0
#include "stages/adapter_prompt.h"

#include <algorithm>
#include <filesystem>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/joined.h"
#include "base/json_file.h"
#include "base/log.h"
#include "base/shown.h"
#include "formats/load_tokenizer.h"
#include "recipe/decoding.h"

namespace selfalign::stages {
namespace {

namespace fs = std::filesystem;

constexpr char kFile[] = "/selfalign.json";
constexpr char kTemplate[] = "/chat_template.jinja";
constexpr char kTokenizerConfig[] = "/tokenizer_config.json";
constexpr int kFormat = 1;

// A literal of Jinja, which reads JSON's escapes.
std::string literal(const std::string& text) { return dump_json(Json(text)); }

std::vector<std::string> texts(const Json& object, const char* name,
                               const std::string& where) {
  std::vector<std::string> out;
  const auto found = object.find(name);
  if (found == object.end()) return out;
  for (const Json& text : *found) {
    if (!found->is_array() || !text.is_string() || text == "") {
      throw Error(
          ErrorKind::kInput,
          str(where, ": expected '", name, "' to be a list of texts, found ",
              shown(dump_json(*found)), "; correct it"));
    }
    out.push_back(text.get<std::string>());
  }
  return out;
}

// What another program or a person put there would change how the adapter is
// asked, and is not followed.
void refuse_others(const Json& json, const std::vector<std::string>& known,
                   const std::string& where) {
  for (const auto& [name, value] : json.items()) {
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    throw Error(ErrorKind::kInput,
                str(where, ": expected members among ", joined(known),
                    ", found '", shown(name), "'; correct or remove it"));
  }
}

recipe::ChatPrompt prompt_from_json(const Json& json,
                                    const std::string& where) {
  refuse_others(json, {"prompt", "user", "answer", "between", "stop"}, where);
  recipe::ChatPrompt prompt{
      json_string(json, "prompt", where), json_string(json, "user", where),
      json_string(json, "answer", where), json_string(json, "between", where),
      texts(json, "stop", where)};
  constexpr char kPlace[] = "{instruction}";
  const size_t at = prompt.user.find(kPlace);
  if (at == std::string::npos ||
      prompt.user.find(kPlace, at + 1) != std::string::npos) {
    throw Error(ErrorKind::kInput,
                str(where, ": expected 'user' with the place ", kPlace,
                    " once, found \"", shown(prompt.user), "\"; correct it"));
  }
  return prompt;
}

// The text of the token that the base wants before every text; "" if none.
std::string bos_of(const std::string& model) {
  std::error_code ignored;
  if (!fs::exists(model, ignored)) return "";
  try {
    const auto tokenizer = formats::load_tokenizer(model);
    if (!tokenizer->adds_bos() || tokenizer->bos() < 0) return "";
    return tokenizer->decode_token(tokenizer->bos(), true);
  } catch (const Error& error) {
    log_warning(str("the adapter's chat template is written without a BOS: ",
                    error.what()));
    return "";
  }
}

// The base's own, if it is an HF folder, with the adapter's template in place
// of any other.
void write_tokenizer_files(const std::string& folder, const std::string& model,
                           const std::string& chat_template) {
  Json config = Json::object();
  if (fs::is_directory(model)) {
    for (const char* name :
         {"/tokenizer.json", "/tokenizer.model", "/special_tokens_map.json",
          "/vocab.json", "/merges.txt", "/added_tokens.json"}) {
      const std::string path = model + name;
      if (!fs::is_regular_file(path)) continue;
      write_file_atomic(folder + name, read_file(path));
    }
  }
  // A model tuned from a GGUF file brings its own.
  const std::string path =
      (fs::is_directory(model) ? model : folder) + kTokenizerConfig;
  if (fs::exists(path)) config = parse_json(read_file(path), path);
  if (!config.is_object()) config = Json::object();
  config["chat_template"] = chat_template;
  write_json_file(folder + kTokenizerConfig, config);
}

}  // namespace

std::string chat_template(const recipe::ChatPrompt& prompt,
                          const std::string& bos) {
  const std::string mark = "\x01";
  const std::string turn = recipe::chat_turn(prompt, mark);
  const size_t at = turn.find(mark);
  const std::string after = turn.substr(at + mark.size());
  return (bos.empty() ? "" : "{{ " + literal(bos) + " }}") +
         "{% if messages[0].role == 'system' %}{{ messages[0].content + "
         "\"\\n\\n\" }}{% else %}{{ " +
         literal(prompt.prompt) +
         " }}{% endif %}{% for message in messages %}{% if message.role == "
         "'user' %}{{ " +
         literal(turn.substr(0, at)) + " + message.content + " +
         literal(after.substr(0, after.size() - prompt.answer.size())) +
         " }}{% if not loop.last or add_generation_prompt %}{{ " +
         literal(prompt.answer) +
         " }}{% endif %}{% elif message.role == 'assistant' %}{{ "
         "message.content }}{% if not loop.last %}{{ " +
         literal(prompt.between) + " }}{% endif %}{% endif %}{% endfor %}";
}

void write_adapter_prompt(const std::string& folder,
                          const AdapterPrompt& adapter,
                          const std::string& model) {
  const recipe::ChatPrompt& prompt = adapter.prompt;
  Json json{{"format", kFormat},
            {"form", adapter.form},
            {"prompt",
             {{"prompt", prompt.prompt},
              {"user", prompt.user},
              {"answer", prompt.answer},
              {"between", prompt.between},
              {"stop", prompt.stop}}},
            {"sampling", recipe::to_json(adapter.sampling)}};
  if (!adapter.base.empty()) json["base"] = adapter.base;
  const std::string text = chat_template(prompt, bos_of(model));
  write_tokenizer_files(folder, model, text);
  write_file_atomic(folder + kTemplate, text);
  write_json_file(folder + kFile, json);
}

std::optional<AdapterPrompt> read_adapter_prompt(const std::string& folder) {
  const std::string path = folder + kFile;
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return std::nullopt;
  const Json json = parse_json(read_file(path), path);
  const int64_t format = json_int(json, "format", path);
  if (format != kFormat) {
    throw Error(ErrorKind::kUsage,
                str(path, ": expected format ", kFormat, ", found ", format,
                    "; use the version of this program that wrote it, or name "
                    "the prompt with --form"));
  }
  refuse_others(json, {"format", "form", "prompt", "sampling", "base"}, path);
  AdapterPrompt adapter;
  adapter.form = json_string(json, "form", path);
  for (const char* part : {"prompt", "sampling"}) {
    if (json.contains(part) && json[part].is_object()) continue;
    throw Error(ErrorKind::kInput,
                str(path, ": there is no object '", part,
                    "'; restore the file, or name the prompt with --form"));
  }
  adapter.prompt = prompt_from_json(json["prompt"], path + ": prompt");
  std::vector<std::string> settings;
  const Json all = recipe::to_json(generate::Sampling());
  for (const auto& [name, value] : all.items()) {
    settings.push_back(name);
  }
  refuse_others(json["sampling"], settings, path + ": sampling");
  adapter.sampling =
      recipe::sampling_from_json(json["sampling"], path + ": sampling");
  adapter.base = json_string_or(json, "base", path, "");
  return adapter;
}

}  // namespace selfalign::stages
