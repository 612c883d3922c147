// SPDX-License-Identifier: Apache-2.0
#include "formats/peft.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <type_traits>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/json_file.h"
#include "base/number.h"
#include "base/ranges.h"
#include "base/shown.h"
#include "text/name_pattern.h"

namespace selfalign::formats {
namespace {

constexpr const char* kFileName = "/adapter_config.json";

// Members that hold what this program applies, or that do not change what the
// adapter computes. Any other member must be off: null, false or empty.
constexpr const char* kKnown[] = {
    "peft_type",
    "r",
    "lora_alpha",
    "lora_dropout",
    "target_modules",
    "bias",
    "base_model_name_or_path",
    "init_lora_weights",
    "auto_mapping",
    "inference_mode",
    "revision",
    "task_type",
    "megatron_core",
    "peft_version",
    "qalora_group_size",
    "use_rslora",
    "rank_pattern",
    "alpha_pattern",
    "layers_to_transform",
    "layers_pattern",
    "exclude_modules",
};
constexpr char kAllLinear[] = "all-linear";
// Of each list and mapping of names; more than any model has modules.
constexpr size_t kMaxNames = 1 << 16;
// Expressions are matched with each module.
constexpr size_t kMaxPatterns = 1024;
constexpr char kPeftPrefix[] = "base_model.model.";
// Ways to begin the training that leave the base model's weights alone.
constexpr const char* kHarmlessInits[] = {"gaussian", "orthogonal", "eva"};

template <typename List>
bool contains(const List& list, const std::string& text) {
  return std::find(std::begin(list), std::end(list), text) != std::end(list);
}

bool is_off(const Json& value) {
  if (value.is_null()) return true;
  if (value.is_boolean()) return !value.get<bool>();
  if (value.is_string()) return value.get_ref<const std::string&>().empty();
  return value.is_structured() && value.empty();
}

[[noreturn]] void fail(const std::string& where, const std::string& text) {
  throw Error(ErrorKind::kInput, where + ": " + text);
}

void refuse_variants(const Json& json, const std::string& where) {
  const std::string type = json_string(json, "peft_type", where);
  if (type != "LORA")
    fail(where, "peft_type: expected LORA, found " + shown(type));
  const std::string bias = json_string_or(json, "bias", where, "none");
  if (bias != "none") fail(where, "bias: expected none, found " + shown(bias));
  const auto init = json.find("init_lora_weights");
  if (init != json.end() && !init->is_boolean() && !init->is_null() &&
      !(init->is_string() &&
        contains(kHarmlessInits, init->get<std::string>()))) {
    fail(where,
         "init_lora_weights: expected a start that leaves the base "
         "model as it is, found " +
             shown(dump_json(*init)) + "; convert the adapter to a plain LoRA");
  }
  for (const auto& [name, value] : json.items()) {
    if (contains(kKnown, name) || is_off(value)) continue;
    fail(where, shown(name) + ": expected it off (a plain LoRA), found " +
                    shown(dump_json(value)) +
                    ", which this program cannot apply");
  }
}

// Names under `key`: a list of them, or one text, which is an expression.
std::vector<std::string> read_names(const Json& json, const char* key,
                                    const std::string& where,
                                    bool& is_pattern) {
  is_pattern = false;
  const auto it = json.find(key);
  if (it == json.end() || it->is_null()) return {};
  if (it->is_string()) {
    is_pattern = true;
    return {it->get<std::string>()};
  }
  std::vector<std::string> names;
  if (!it->is_array() || it->size() > kMaxNames) {
    fail(where, str(key, ": expected a list of names or one expression, found ",
                    shown(dump_json(*it))));
  }
  for (const Json& name : *it) {
    if (!name.is_string() || name == "") {
      fail(where, str(key, ": expected names of modules, found ",
                      shown(dump_json(name))));
    }
    names.push_back(name.get<std::string>());
  }
  return names;
}

void read_targets(const Json& json, const std::string& where,
                  AdapterConfig& config) {
  config.target_modules =
      read_names(json, "target_modules", where, config.targets_are_pattern);
  if (config.target_modules.empty() || config.target_modules[0].empty()) {
    fail(where,
         "target_modules: it names no module; an adapter of this program, of "
         "TRL or axolotl lists them, such as [q_proj, v_proj]");
  }
  if (config.target_modules[0] == kAllLinear) {
    config.targets_are_pattern = false;
  }
  config.exclude_modules =
      read_names(json, "exclude_modules", where, config.excludes_are_pattern);
}

void read_layers(const Json& json, const std::string& where,
                 AdapterConfig& config) {
  const auto it = json.find("layers_to_transform");
  if (it != json.end() && !it->is_null()) {
    const Json list = it->is_array() ? *it : Json::array({*it});
    std::vector<int64_t> layers;
    for (const Json& layer : list) {
      if (!layer.is_number_integer() || layer < 0 || layer > INT32_MAX) {
        fail(where, "layers_to_transform: expected numbers of layers, found " +
                        shown(dump_json(layer)));
      }
      layers.push_back(layer.get<int64_t>());
    }
    if (!layers.empty()) config.layers = std::move(layers);
  }
  bool is_one = false;
  config.layers_pattern = read_names(json, "layers_pattern", where, is_one);
  if (is_one && config.layers_pattern[0].empty()) config.layers_pattern.clear();
}

template <typename Number>
std::map<std::string, double> read_patterns(const Json& json, const char* key,
                                            const std::string& where,
                                            const Range<Number>& range) {
  std::map<std::string, double> patterns;
  const auto it = json.find(key);
  if (it == json.end() || it->is_null()) return patterns;
  if (!it->is_object() || it->size() > kMaxPatterns) {
    fail(where,
         str(key, ": expected up to ", kMaxPatterns,
             " names with a number each, found ", shown(dump_json(*it))));
  }
  for (const auto& [name, value] : it->items()) {
    const bool right = std::is_integral_v<Number> ? value.is_number_integer()
                                                  : value.is_number();
    const double number = right ? double(value) : 0.0;
    if (!(number >= double(range.low) && number <= double(range.high))) {
      fail(where,
           str(key, ": ", shown(name), ": expected a number from ", range.low,
               " to ", range.high, ", found ", shown(dump_json(value))));
    }
    patterns[name] = number;
  }
  return patterns;
}

// PEFT declares alpha as an integer; a fraction is written as it is, and what
// no integer holds.
Json whole_if(double number) {
  if (std::floor(number) == number && std::fabs(number) < 0x1p53) {
    return static_cast<int64_t>(number);
  }
  return number;
}

bool is_named(const std::vector<std::string>& names, const std::string& name) {
  return std::any_of(names.begin(), names.end(), [&](const auto& one) {
    return name == one || (name.size() > one.size() && name.ends_with(one) &&
                           name[name.size() - one.size() - 1] == '.');
  });
}

}  // namespace

struct AdapterTargets::Patterns {
  using Numbered = std::vector<std::pair<text::NamePattern, double>>;
  std::optional<text::NamePattern> targets, excludes;
  std::vector<text::NamePattern>
      layers;  // of the names in one of config.layers
  Numbered ranks, alphas;

  static double number_of(const Numbered& patterns, const std::string& name,
                          double other) {
    for (const auto& [pattern, number] : patterns) {
      if (pattern.matches(name)) return number;
    }
    return other;
  }
};

AdapterTargets::AdapterTargets(const AdapterConfig& config,
                               const std::string& where)
    : config_(config), patterns_(std::make_unique<Patterns>()) {
  Patterns& patterns = *patterns_;
  if (config.targets_are_pattern) {
    patterns.targets.emplace(config.target_modules.at(0),
                             where + ": target_modules");
  }
  if (config.excludes_are_pattern) {
    patterns.excludes.emplace(config.exclude_modules.at(0),
                              where + ": exclude_modules");
  }
  if (config.layers_pattern.size() > kMaxPatterns) {
    fail(where, str("layers_pattern: expected up to ", kMaxPatterns,
                    " expressions, found ", config.layers_pattern.size()));
  }
  for (const std::string& before : config.layers_pattern) {
    patterns.layers.emplace_back(str(".*\\.(?:", before, ")\\.\\d+\\..*"),
                                 where + ": layers_pattern");
  }
  const auto add = [&](const char* key, const auto& from,
                       Patterns::Numbered& to) {
    for (const auto& [name, number] : from) {
      to.emplace_back(text::NamePattern(str("(?:.*\\.)?(?:", name, ")"),
                                        where + ": " + key),
                      number);
    }
  };
  add("rank_pattern", config.rank_pattern, patterns.ranks);
  add("alpha_pattern", config.alpha_pattern, patterns.alphas);
}

AdapterTargets::~AdapterTargets() = default;

std::optional<ModuleSettings> AdapterTargets::find(
    const std::string& name) const {
  const Patterns& patterns = *patterns_;
  if (patterns.excludes ? patterns.excludes->matches(name)
                        : is_named(config_.exclude_modules, name)) {
    return std::nullopt;
  }
  if (patterns.targets) {
    if (!patterns.targets->matches(name)) return std::nullopt;
  } else {
    if (config_.target_modules[0] != kAllLinear &&
        !is_named(config_.target_modules, name)) {
      return std::nullopt;
    }
    if (config_.layers &&
        std::none_of(
            config_.layers->begin(), config_.layers->end(), [&](int64_t layer) {
              return name.find(str(".layers.", layer, '.')) != name.npos;
            })) {
      return std::nullopt;
    }
    if (config_.layers && !patterns.layers.empty() &&
        std::none_of(patterns.layers.begin(), patterns.layers.end(),
                     [&](const auto& one) { return one.matches(name); })) {
      return std::nullopt;
    }
  }
  const double rank =
      Patterns::number_of(patterns.ranks, name, double(config_.rank));
  const double alpha =
      Patterns::number_of(patterns.alphas, name, config_.alpha);
  return ModuleSettings{int64_t(rank),
                        alpha / (config_.use_rslora ? std::sqrt(rank) : rank)};
}

std::optional<AdapterTensor> parse_adapter_name(const std::string& name,
                                                const std::string& family) {
  std::string rest = name;
  if (rest.starts_with(kPeftPrefix)) {
    rest.erase(0, std::string_view(kPeftPrefix).size());
  }
  rest = llama_name(family, std::move(rest));
  for (const char* prefix : {"model.", "layers."}) {
    if (rest.starts_with(prefix)) {
      rest.erase(0, std::string_view(prefix).size());
    } else if (prefix[0] == 'l') {
      return std::nullopt;
    }
  }
  const size_t dot = rest.find('.');
  if (dot == std::string::npos) return std::nullopt;
  const auto layer = parse_number<int64_t>(rest.substr(0, dot));
  if (!layer || *layer < 0) return std::nullopt;
  for (const bool is_b : {false, true}) {
    const std::string side = is_b ? ".lora_B." : ".lora_A.";
    const size_t at = rest.find(side, dot);
    if (at == std::string::npos) continue;
    const std::string end = rest.substr(at + side.size());
    // "default" is the name of an adapter in a state that was saved by hand.
    if (end != "weight" && end != "default.weight") return std::nullopt;
    return AdapterTensor{*layer, rest.substr(dot + 1, at - dot - 1), is_b};
  }
  return std::nullopt;
}

std::string adapter_name(const AdapterTensor& tensor,
                         const std::string& family) {
  return kPeftPrefix +
         family_name(family, str("model.layers.", tensor.layer, '.',
                                 tensor.module, '.')) +
         (tensor.is_b ? "lora_B.weight" : "lora_A.weight");
}

bool is_tuned_model(const std::string& folder) {
  std::error_code ignored;
  const auto holds = [&](const char* file) {
    return std::filesystem::exists(folder + file, ignored);
  };
  return holds("/config.json") && holds("/selfalign.json") && !holds(kFileName);
}

void require_adapter(const std::string& folder) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  const auto holds = [&](const char* file) {
    return fs::exists(folder + file, ignored);
  };
  if (holds(kFileName)) {
    if (holds("/adapter_model.safetensors") || !holds("/adapter_model.bin")) {
      return;
    }
    fail(folder,
         "adapter_model.bin is a pickle, which could run code and is not "
         "read; convert it to adapter_model.safetensors: load the adapter with "
         "PEFT and call save_pretrained(folder, safe_serialization=True)");
  }
  const std::string expected =
      "expected the folder of an adapter (adapter_config.json), found ";
  if (!fs::exists(folder, ignored)) {
    fail(folder, expected + "no such folder; check the path");
  }
  if (!fs::is_directory(folder, ignored)) {
    fail(folder, expected + "a file; name the folder around it");
  }
  if (holds("/recipe.resolved.yaml")) {
    fail(folder, expected +
                     "a run; name an adapter in it, such as "
                     "RUN/verbose/adapter");
  }
  if (holds("/adapter/adapter_config.json")) {
    fail(folder, expected + "one around it; name its folder adapter");
  }
  if (holds("/model/config.json")) {
    fail(folder, expected +
                     "one around a model that was tuned whole; name its "
                     "folder model");
  }
  if (holds("/config.json")) {
    fail(folder, expected + "a model; give it in place of the base model");
  }
  fail(folder, expected + "a folder without that file; check the path");
}

AdapterConfig read_adapter_config(const std::string& folder) {
  require_adapter(folder);
  const std::string path = folder + kFileName;
  const Json json = parse_json(read_file(path, 1 << 20), path);
  refuse_variants(json, path);
  AdapterConfig config;
  config.rank = json_int(json, "r", path);
  config.alpha = json_number(json, "lora_alpha", path);
  config.dropout = json_number_or(json, "lora_dropout", path, 0.0);
  config.use_rslora = json_bool_or(json, "use_rslora", path, false);
  read_targets(json, path, config);
  read_layers(json, path, config);
  config.rank_pattern =
      read_patterns(json, "rank_pattern", path, ranges::kRank);
  config.alpha_pattern =
      read_patterns(json, "alpha_pattern", path, ranges::kAlpha);
  config.base_model = json_string_or(json, "base_model_name_or_path", path, "");
  using ranges::kAlpha, ranges::kRank;
  if (!kRank.holds(config.rank)) {
    fail(path, str("r: expected ", kRank.low, " to ", kRank.high, ", found ",
                   config.rank));
  }
  if (!kAlpha.holds(config.alpha)) {
    fail(path, str("lora_alpha: expected a number from ", kAlpha.low, " to ",
                   kAlpha.high, ", found ", config.alpha));
  }
  if (!(config.dropout >= 0.0 && config.dropout < 1.0)) {
    fail(path, str("lora_dropout: expected 0 to 1, found ", config.dropout));
  }
  return config;
}

void write_adapter_config(const std::string& folder,
                          const AdapterConfig& config) {
  Json json;
  json["peft_type"] = "LORA";
  json["task_type"] = "CAUSAL_LM";
  json["base_model_name_or_path"] = config.base_model;
  json["r"] = config.rank;
  json["lora_alpha"] = whole_if(config.alpha);
  json["lora_dropout"] = config.dropout;
  json["target_modules"] = config.target_modules;
  json["bias"] = "none";
  json["fan_in_fan_out"] = false;
  json["inference_mode"] = true;
  json["init_lora_weights"] = true;
  json["modules_to_save"] = nullptr;
  json["use_rslora"] = config.use_rslora;
  json["use_dora"] = false;
  const auto add = [&](const char* key, const auto& patterns) {
    if (patterns.empty()) return;
    for (const auto& [name, value] : patterns) {
      json[key][name] = whole_if(value);
    }
  };
  add("rank_pattern", config.rank_pattern);
  add("alpha_pattern", config.alpha_pattern);
  write_json_file(folder + kFileName, json, 2);
}

}  // namespace selfalign::formats
