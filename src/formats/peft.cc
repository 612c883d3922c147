// SPDX-License-Identifier: Apache-2.0
#include "formats/peft.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/json_file.h"
#include "base/ranges.h"
#include "base/shown.h"

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
};
constexpr const char* kTargets[] = {"q_proj",   "k_proj",    "v_proj",
                                    "o_proj",   "gate_proj", "up_proj",
                                    "down_proj"};
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

std::vector<std::string> read_targets(const Json& json,
                                      const std::string& where) {
  const auto it = json.find("target_modules");
  if (it == json.end() || !it->is_array() || it->empty()) {
    fail(where, "target_modules: expected a list of names, found " +
                    (it == json.end() ? "nothing" : shown(dump_json(*it))));
  }
  std::vector<std::string> targets;
  for (const Json& name : *it) {
    if (!name.is_string() || !contains(kTargets, name.get<std::string>()) ||
        contains(targets, name.get<std::string>())) {
      fail(where,
           "target_modules: expected each of q_proj, k_proj, v_proj, "
           "o_proj, gate_proj, up_proj, down_proj at most once, found " +
               shown(dump_json(name)));
    }
    targets.push_back(name.get<std::string>());
  }
  return targets;
}

}  // namespace

void require_adapter(const std::string& folder) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  if (fs::exists(folder + kFileName, ignored)) return;
  const auto holds = [&](const char* file) {
    return fs::exists(folder + file, ignored);
  };
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
  config.target_modules = read_targets(json, path);
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
  // PEFT declares alpha as an integer; a fraction is written as it is, and what
  // no integer holds.
  if (std::floor(config.alpha) == config.alpha &&
      std::fabs(config.alpha) < 0x1p53) {
    json["lora_alpha"] = static_cast<int64_t>(config.alpha);
  } else {
    json["lora_alpha"] = config.alpha;
  }
  json["lora_dropout"] = config.dropout;
  json["target_modules"] = config.target_modules;
  json["bias"] = "none";
  json["fan_in_fan_out"] = false;
  json["inference_mode"] = true;
  json["init_lora_weights"] = true;
  json["modules_to_save"] = nullptr;
  json["use_rslora"] = false;
  json["use_dora"] = false;
  write_json_file(folder + kFileName, json, 2);
}

}  // namespace selfalign::formats
