// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "cli/commands.h"
#include "cli/lines.h"
#include "formats/gguf.h"
#include "formats/load_tokenizer.h"
#include "formats/model_config.h"
#include "formats/model_path.h"
#include "formats/peft.h"
#include "formats/tensor_source.h"
#include "local/doctor.h"
#include "model/load_weights.h"
#include "model/transformer.h"
#include "recipe/decoding.h"
#include "stages/adapter_prompt.h"

namespace selfalign::cli {
namespace {

namespace fs = std::filesystem;

constexpr char kFooter[] = R"(What is in a model file, without loading it:
  selfalign inspect model.gguf                GGUF: metadata, tensors, tokenizer
  selfalign inspect some/hf/folder            config.json, shards, tokenizer
  selfalign inspect runs/demo/verbose/adapter PEFT adapter
  selfalign inspect model.safetensors --no-tensors
What this program cannot use in the file is said in the line that concerns it.)";

Json config_json(const formats::ModelConfig& c) {
  Json out{{"family", c.family},
           {"num_layers", c.num_layers},
           {"hidden_size", c.hidden_size},
           {"num_heads", c.num_heads},
           {"num_kv_heads", c.num_kv_heads},
           {"head_dim", c.head_dim},
           {"intermediate_size", c.intermediate_size},
           {"vocab_size", c.vocab_size},
           {"max_positions", c.max_positions},
           {"norm_eps", c.norm_eps},
           {"rope_theta", c.rope.theta},
           {"rope_type", c.rope.type},
           {"tied_embeddings", c.tied_embeddings},
           {"attention_bias", c.qkv_bias},
           {"gated_mlp", c.gated}};
  if (c.rope.type != "none") out["rope_factor"] = c.rope.factor;
  if (c.rotary_dim != c.head_dim) out["rotary_dim"] = c.rotary_dim;
  const int64_t windows = std::count_if(c.windows.begin(), c.windows.end(),
                                        [](int64_t w) { return w > 0; });
  if (windows > 0) {
    out["layers_with_a_window"] = windows;
    out["window"] = *std::max_element(c.windows.begin(), c.windows.end());
  }
  if (c.attention_softcap != 0.0)
    out["attention_softcap"] = c.attention_softcap;
  if (c.logit_softcap != 0.0) out["logit_softcap"] = c.logit_softcap;
  return out;
}

// What doctor says of a model, by level.
Json findings_json(const std::string& path) {
  Json list = Json::array();
  for (const local::Finding& finding : local::examine_model(path).findings) {
    list.push_back(str(local::level_name(finding.level), ": ", finding.text));
  }
  return list;
}

// A part of the report that may be out of this program's reach: then the
// reason stands in its place, and the rest is shown all the same.
template <typename Part>
Json part_or_reason(const Part& part) {
  try {
    return part();
  } catch (const Error& error) {
    return {{"problem", error.what()}};
  }
}

Json tensors_json(const std::vector<formats::TensorView>& tensors) {
  Json list = Json::array();
  for (const formats::TensorView& tensor : tensors) {
    list.push_back({{"name", tensor.name},
                    {"type", formats::element_type_name(tensor.type)},
                    {"shape", tensor.shape},
                    {"bytes", tensor.bytes.size()}});
  }
  return list;
}

Json totals_json(const std::vector<formats::TensorView>& tensors) {
  int64_t elements = 0;
  uint64_t bytes = 0;
  std::map<std::string, int64_t> types;
  for (const formats::TensorView& tensor : tensors) {
    elements += tensor.num_elements();
    bytes += tensor.bytes.size();
    ++types[formats::element_type_name(tensor.type)];
  }
  return {{"tensors", tensors.size()},
          {"parameters", elements},
          {"bytes", bytes},
          {"types", types}};
}

// Whether every tensor that a LLaMA of this configuration has is there, and no
// other: as on loading, but without memory for them.
Json weights_json(const std::string& path) {
  return part_or_reason([&path] {
    model::check_weights(path, at::kMeta, at::kBFloat16);
    return Json("every tensor has its place");
  });
}

Json token_json(const text::Tokenizer& tokenizer, int id) {
  if (id < 0) return nullptr;
  return {{"id", id}, {"text", tokenizer.decode_token(id, true)}};
}

Json tokenizer_json(const std::string& path) {
  return part_or_reason([&path] {
    const std::unique_ptr<text::Tokenizer> tokenizer =
        formats::load_tokenizer(path);
    Json ends = Json::array();
    for (const int id : tokenizer->end_tokens()) {
      ends.push_back(token_json(*tokenizer, id));
    }
    int64_t num_special = 0;
    for (int id = 0; id < tokenizer->size(); ++id) {
      num_special += tokenizer->is_special(id) ? 1 : 0;
    }
    return Json{{"size", tokenizer->size()},
                {"special", num_special},
                {"bos", token_json(*tokenizer, tokenizer->bos())},
                {"eos", token_json(*tokenizer, tokenizer->eos())},
                {"ends", std::move(ends)},
                {"adds_bos", tokenizer->adds_bos()}};
  });
}

struct MetadataToJson {
  Json operator()(int64_t value) const { return value; }
  Json operator()(double value) const { return value; }
  Json operator()(bool value) const { return value; }
  Json operator()(std::string_view value) const { return std::string(value); }
  // Vocabularies have a hundred thousand entries; their number will do.
  Json operator()(const formats::GgufArray& value) const {
    return str("list of ", value.size);
  }
};

Json inspect_gguf(const std::string& path) {
  const std::shared_ptr<const formats::GgufFile> file =
      formats::GgufFile::open(path);
  Json::object_t metadata;
  for (const auto& [key, value] : file->metadata()) {  // no key stands twice
    metadata.emplace_back(key, std::visit(MetadataToJson(), value));
  }
  return {{"kind", str("GGUF version ", file->version())},
          {"path", path},
          {"config", part_or_reason([&] {
             return config_json(formats::config_from_gguf(*file));
           })},
          {"weights", weights_json(path)},
          {"tokenizer", tokenizer_json(path)},
          {"chat_template", local::chat_template_kind(path)},
          {"findings", findings_json(path)},
          {"metadata", std::move(metadata)},
          {"totals", totals_json(file->tensors())},
          {"tensors", tensors_json(file->tensors())}};
}

Json inspect_safetensors(const std::string& path) {
  const auto source = formats::open_safetensors(path);
  return {{"kind", "safetensors"},
          {"path", path},
          {"totals", totals_json(source->tensors())},
          {"tensors", tensors_json(source->tensors())}};
}

// What the adapter says of how it was trained.
Json prompt_json(const std::string& folder) {
  const auto carried = stages::read_adapter_prompt(folder);
  if (!carried) return "not carried: name it with --form";
  return {{"form", carried->form},
          {"prompt", carried->prompt.prompt},
          {"sampling", recipe::to_json(carried->sampling)}};
}

Json inspect_adapter(const std::string& folder) {
  const auto source =
      formats::open_safetensors(folder + "/adapter_model.safetensors");
  return {{"kind", "PEFT adapter"},
          {"path", folder},
          {"config", part_or_reason([&] {
             const auto config = formats::read_adapter_config(folder);
             return Json{{"rank", config.rank},
                         {"alpha", config.alpha},
                         {"dropout", config.dropout},
                         {"target_modules", config.target_modules},
                         {"base_model", config.base_model}};
           })},
          {"prompt", part_or_reason([&] { return prompt_json(folder); })},
          {"totals", totals_json(source->tensors())},
          {"tensors", tensors_json(source->tensors())}};
}

Json inspect_folder(const std::string& folder) {
  Json report{{"kind", "HF folder"},
              {"path", folder},
              {"config", part_or_reason([&] {
                 return config_json(formats::config_of_folder(folder));
               })},
              {"weights", weights_json(folder)},
              {"tokenizer", tokenizer_json(folder)},
              {"chat_template", part_or_reason([&] {
                 return Json(local::chat_template_kind(folder));
               })},
              {"findings", findings_json(folder)}};
  if (formats::is_tuned_model(folder)) {
    report["prompt"] = part_or_reason([&] { return prompt_json(folder); });
  }
  report["totals"] = part_or_reason([&] {
    const auto source = formats::open_safetensors(folder);
    report["tensors"] = tensors_json(source->tensors());
    return totals_json(source->tensors());
  });
  return report;
}

Json inspect(const std::string& path) {
  if (fs::exists(path + "/adapter_config.json")) return inspect_adapter(path);
  if (fs::exists(path + "/config.json")) return inspect_folder(path);
  if (fs::is_directory(path)) {
    throw Error(ErrorKind::kInput,
                path +
                    ": this is neither a model folder (it has no config.json) "
                    "nor an adapter (it has no adapter_config.json); name the "
                    "folder that holds it");
  }
  return formats::is_gguf(path) ? inspect_gguf(path)
                                : inspect_safetensors(path);
}

// One line: a string as it is, unless it has line breaks (chat templates).
std::string plain(const Json& value) {
  if (!value.is_string()) return dump_json(value);
  const auto& text = value.get_ref<const std::string&>();
  return text.find('\n') == std::string::npos ? text : dump_json(value);
}

// Sections of the report as indented lines, tensors as a table.
std::string report_text(const Json& report) {
  std::string out;
  for (const auto& [name, value] : report.items()) {
    if (!value.is_object() && name != "tensors" && name != "findings") {
      out += str(name, ": ", plain(value), "\n");
    } else {
      out += name + "\n";
    }
    if (name == "findings") {
      for (const Json& finding : value) out += str("  ", plain(finding), "\n");
    } else if (value.is_object()) {
      for (const auto& [key, one] : value.items()) {
        out += str("  ", key, ": ", plain(one), "\n");
      }
    } else if (name == "tensors") {
      for (const Json& tensor : value) {
        out += str("  ", plain(tensor["name"]), "  ", plain(tensor["type"]),
                   "  ", dump_json(tensor["shape"]), "  ",
                   dump_json(tensor["bytes"]), " bytes\n");
      }
    }
  }
  return out;
}

}  // namespace

void add_inspect(CLI::App& app, Shell& shell) {
  CLI::App* command = app.add_subcommand(
      "inspect", "What is in a model file, HF folder or adapter");
  auto path = std::make_shared<std::string>();
  auto no_tensors = std::make_shared<bool>(false);
  command
      ->add_option("file", *path,
                   "GGUF or safetensors file, HF folder or adapter folder")
      ->required();
  command->add_flag("--no-tensors", *no_tensors,
                    "totals only, not every tensor");
  command->footer(kFooter);
  set_action(*command, shell, [path, no_tensors, &shell] {
    Json report = inspect(*path);
    if (*no_tensors) report.erase("tensors");
    write_result(shell.json, report, report_text(report));
  });
}

}  // namespace selfalign::cli
