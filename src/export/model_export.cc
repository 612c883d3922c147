// SPDX-License-Identifier: Apache-2.0
#include "export/model_export.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/folder.h"
#include "base/json_file.h"
#include "base/own_file.h"
#include "base/sha256.h"
#include "export/data_card.h"
#include "export/model_card.h"
#include "export/modelfile.h"
#include "export/partial_folder.h"
#include "formats/config_out.h"
#include "formats/from_float.h"
#include "formats/gguf_writer.h"
#include "formats/peft.h"
#include "formats/safetensors.h"
#include "formats/vocabulary_out.h"
#include "stages/adapter_prompt.h"
#include "store/checks.h"

namespace selfalign::exports {
namespace {

namespace fs = std::filesystem;
using formats::ElementType;
using formats::PlannedTensor;

struct TypeWord {
  const char* word;
  ElementType type;
  const char* torch;   // dtype of config.json
  uint32_t file_type;  // GGUF: general.file_type
};
constexpr TypeWord kTypes[] = {
    {"f32", ElementType::kF32, "float32", 0},
    {"f16", ElementType::kF16, "float16", 1},
    {"bf16", ElementType::kBF16, "bfloat16", 32},
    {"q8_0", ElementType::kQ8_0, "", 7},
    {"q4_0", ElementType::kQ4_0, "", 2},
};
const TypeWord& word_of(ElementType type) {
  for (const TypeWord& word : kTypes) {
    if (word.type == type) return word;
  }
  SELFALIGN_CHECK(false, formats::element_type_name(type));
  return kTypes[0];
}

// What a model's folder has of its tokenizer, and the terms that it came under.
constexpr const char* kTokenizerFiles[] = {"tokenizer.json",
                                           "tokenizer.model",
                                           "special_tokens_map.json",
                                           "vocab.json",
                                           "merges.txt",
                                           "added_tokens.json",
                                           "tokenizer_config.json",
                                           "chat_template.jinja"};
constexpr const char* kTermsFiles[] = {"LICENSE", "LICENSE.txt", "LICENSE.md",
                                       "NOTICE", "USE_POLICY.md"};

void copy_if_there(const std::string& from, const std::string& to,
                   const char* name) {
  const std::string path = str(from, "/", name);
  std::error_code ignored;
  if (!fs::is_regular_file(path, ignored)) return;
  const MappedFile map(path);
  OwnFile file(str(to, "/", name), 0);
  file.append(map.bytes());
  file.sync();
  map.require_unchanged();
}

// config.json; that of an HF folder stays as it is but for the type of numbers.
Json config_json(const ModelOptions& options, const BaseModel& base,
                 const text::Tokenizer& tokens,
                 const std::vector<PlannedTensor>& tensors) {
  Json config;
  if (base.gguf == nullptr) {
    const std::string from = options.base + "/config.json";
    config = parse_json(read_file(from, 1 << 20), from);
    if (!options.type) return config;
  } else {
    config = formats::config_to_json(base.config, options.base);
    if (tokens.bos() >= 0) config["bos_token_id"] = tokens.bos();
    if (tokens.eos() >= 0) config["eos_token_id"] = tokens.eos();
    // Some families have one by default, beyond a small vocabulary.
    if (!config.contains("pad_token_id")) config["pad_token_id"] = nullptr;
  }
  ElementType type = ElementType::kF32;  // the largest there is
  if (options.type) {
    type = *options.type;
  } else if (std::none_of(tensors.begin(), tensors.end(), [](const auto& t) {
               return t.shape.size() > 1 && t.type == ElementType::kF32;
             })) {
    type = tensors.at(0).type;
  }
  const char* torch = word_of(type).torch;
  const bool has_new = config.contains("dtype");
  if (has_new) config["dtype"] = torch;
  if (!has_new || config.contains("torch_dtype")) {
    config["torch_dtype"] = torch;
  }
  return config;
}

// With the sampling that an assistant answers with.
Json generation_config(const BaseModel& base, const text::Tokenizer& tokens,
                       const generate::Sampling* prompted) {
  const std::string from = base.path + "/generation_config.json";
  std::error_code ignored;
  Json config = Json::object();
  if (base.gguf == nullptr && fs::is_regular_file(from, ignored)) {
    config = parse_json(read_file(from, 1 << 20), from);
    if (!config.is_object()) {
      throw Error(ErrorKind::kInput,
                  from +
                      ": expected an object, found something else; get the "
                      "file again, or remove it");
    }
  }
  if (tokens.bos() >= 0) config["bos_token_id"] = tokens.bos();
  if (!tokens.end_tokens().empty()) {
    // The first is the one that training teaches.
    std::vector<int> ends = tokens.end_tokens();
    std::stable_partition(ends.begin(), ends.end(),
                          [&](int id) { return id == tokens.eos(); });
    config["eos_token_id"] = ends;
  }
  if (prompted != nullptr) {
    const generate::Sampling& sampling = *prompted;
    for (const char* other : {"temperature", "top_p", "top_k", "min_p",
                              "typical_p", "num_beams", "max_length"}) {
      config.erase(other);
    }
    config["do_sample"] = sampling.temperature > 0.0;
    if (sampling.temperature > 0.0) {
      config["temperature"] = sampling.temperature;
      config["top_p"] = sampling.top_p;
      config["top_k"] = 0;
    }
    config["repetition_penalty"] = sampling.repetition_penalty;
    config["max_new_tokens"] = sampling.max_new_tokens;
  }
  return config;
}

// Of all that went in and came out; adds the files to the report.
void write_manifest(const ModelOptions& options, const std::string& folder,
                    ModelReport& report) {
  std::vector<HashedFile> inputs, outputs;
  Json manifest{{"format", "selfalign export 1"}, {"program", options.program}};
  if (options.run != nullptr) {
    manifest["run"] = {{"name", options.recipe->name},
                       {"digest", options.run->run_digest()},
                       {"stages", to_json(stage_digests(*options.run))}};
    inputs = hashed_inputs(options.run->folder());
  }
  manifest["model"] = {
      {"form", options.model},
      {"type", options.type ? word_of(*options.type).word : "base"},
      {"tensors", report.num_tensors},
      {"merged", report.num_merged}};
  add_model_files(options.base, inputs);
  if (!options.adapter.empty()) {
    for (const fs::path file : list_folder(options.adapter)) {
      const std::string name = file.filename();
      if (name == "selfalign.json" || name == "config.json" ||
          name == "adapter_config.json" || name.ends_with(".safetensors")) {
        inputs.push_back(hashed_file("adapter/" + name, file));
      }
    }
  }
  for (const fs::path file : list_folder(folder)) {
    if (PartialFolder::is_mark(file)) continue;
    report.files.push_back(file.filename());
    outputs.push_back(hashed_file(file.filename(), file));
  }
  manifest["inputs"] = to_json(inputs);
  manifest["outputs"] = to_json(outputs);
  write_json_file(folder + "/manifest.json", manifest, 2);
  report.files.emplace_back("manifest.json");
}

// The terms that the base came under.
void copy_terms(const std::string& base, const std::string& folder) {
  for (const char* name : kTermsFiles) copy_if_there(base, folder, name);
}

// Of an adapter's base, such that PEFT finds it.
std::string base_name(const ModelOptions& options, const BaseModel& base) {
  if (!options.base_name.empty()) return options.base_name;
  if (base.gguf == nullptr) {
    return fs::weakly_canonical(fs::absolute(options.base));
  }
  throw Error(
      ErrorKind::kUsage,
      str(options.base,
          ": PEFT loads no adapter onto a GGUF file; give --base-name, the "
          "hub's name or folder of the same model, or make that folder with: "
          "selfalign export ",
          options.base, " --model merged --output FOLDER"));
}

// Work on one export.
class Export {
 public:
  Export(const ModelOptions& options, const Delta* delta,
         const std::string& folder, const std::string& name)
      : options_(options),
        delta_(delta),
        folder_(folder),
        name_(name),
        base_(open_base_model(options.base)),
        tokens_(formats::load_tokenizer(options.base)) {
    if (!options.adapter.empty()) {
      prompt_ = stages::read_adapter_prompt(options.adapter);
    } else if (formats::is_tuned_model(options.base)) {
      prompt_ = stages::read_adapter_prompt(options.base);
    }
  }

  // Config, tokenizer and tensors alone.
  void make_plain() {
    copy_terms(options_.base, folder_);
    write_merged();
    const std::string card = licence_card(base_);
    if (!card.empty()) write_file_atomic(folder_ + "/README.md", card);
    base_.tensors->require_unchanged();
  }
  void check_plain() const {
    config_json(options_, base_, *tokens_,
                hf_tensors(base_, nullptr, options_.type));
    generation_config(base_, *tokens_, nullptr);
  }

  ModelReport make() {
    copy_terms(options_.base, folder_);
    std::string from = ".", adapter;
    if (options_.model == kMerged) {
      write_merged();
    } else if (options_.model == kGguf) {
      file_ = name_ + ".gguf";
      write_gguf();
      from = "./" + file_;
    } else {
      write_adapter();
      from = base_name(options_, base_);
      adapter = ".";
    }
    write_file_atomic(folder_ + "/Modelfile",
                      modelfile(from, adapter, prompt_));
    write_file_atomic(folder_ + "/README.md",
                      model_card(options_, base_, prompt_, name_, file_));
    base_.tensors->require_unchanged();
    write_manifest(options_, folder_, report_);
    return report_;
  }

 private:
  std::string path(const char* name) const { return folder_ + "/" + name; }

  void count(const std::vector<PlannedTensor>& tensors) {
    report_.num_tensors = static_cast<int64_t>(tensors.size());
    if (delta_ != nullptr) report_.num_merged = num_changed(base_, *delta_);
  }

  void write_merged() {
    const auto tensors = hf_tensors(base_, delta_, options_.type);
    count(tensors);
    write_json_file(path("config.json"),
                    config_json(options_, base_, *tokens_, tensors), 2);
    write_tokenizer();
    write_json_file(path("generation_config.json"),
                    generation_config(base_, *tokens_,
                                      prompt_ ? &prompt_->sampling : nullptr),
                    2);
    formats::write_model_tensors(folder_, tensors);
  }

  void write_tokenizer() const {
    if (base_.gguf == nullptr) {
      for (const char* name : kTokenizerFiles) {
        copy_if_there(options_.base, folder_, name);
      }
    }
    if (prompt_) {
      stages::write_adapter_prompt(folder_, *prompt_, options_.base);
    }
    if (base_.gguf == nullptr) return;
    const std::string config_path = path("tokenizer_config.json");
    Json config = prompt_ ? parse_json(read_file(config_path), config_path)
                          : Json::object();
    const auto* chat = base_.gguf->find("tokenizer.chat_template");
    if (!prompt_ && chat != nullptr &&
        std::holds_alternative<std::string_view>(*chat)) {
      config["chat_template"] = std::string(std::get<std::string_view>(*chat));
    }
    config["model_max_length"] = base_.config.max_positions;
    formats::write_hf_vocabulary(folder_,
                                 formats::load_vocabulary(options_.base),
                                 *tokens_, std::move(config));
  }

  std::string chat_template() const {
    const bool adds = tokens_->adds_bos() && tokens_->bos() >= 0;
    return stages::chat_template(
        prompt_->prompt,
        adds ? tokens_->decode_token(tokens_->bos(), true) : "");
  }

  // What the file says beside its tensors.
  formats::GgufEntries entries(const formats::GgufForm& form) const {
    formats::GgufEntries out;
    if (base_.gguf != nullptr) {
      const auto& metadata = base_.gguf->metadata();
      for (size_t i = 0; i < metadata.size(); ++i) {
        out.set_stored(metadata[i].first, std::string(base_.gguf->stored(i)));
      }
      // Of the old file's own making.
      for (const char* key : {"general.alignment", "general.file_type"}) {
        out.remove(key);
      }
    } else {
      out.set("general.architecture", form.architecture);
      out.set("general.type", "model");
      put_config(form, out);
      if (const std::string licence = base_licence(base_); !licence.empty()) {
        out.set("general.license", licence);
      }
      formats::put_gguf_vocabulary(formats::load_vocabulary(options_.base),
                                   *tokens_, base_.config.vocab_size, out);
    }
    out.set("general.name", name_);
    if (options_.type) {
      out.set("general.file_type", word_of(*options_.type).file_type);
    }
    if (base_.gguf != nullptr ||
        (options_.type && formats::block_size(*options_.type) > 1)) {
      out.set("general.quantization_version", uint32_t{2});
    }
    if (prompt_) out.set("tokenizer.chat_template", chat_template());
    return out;
  }

  void put_config(const formats::GgufForm& form,
                  formats::GgufEntries& out) const {
    formats::put_gguf_config(
        formats::gguf_config(base_.config, form, options_.base), form, out);
  }

  void write_gguf() {
    const auto form = formats::gguf_form(base_.config.family);
    if (!form) {
      throw Error(ErrorKind::kInput,
                  str(options_.base, ": a model of type ", base_.config.family,
                      " has no GGUF architecture that this program knows; "
                      "export with --model merged"));
    }
    auto tensors = gguf_tensors(base_, *form, delta_, options_.type);
    count(tensors);
    const std::string file = folder_ + "/" + file_;
    const formats::ModelConfig config =
        formats::gguf_config(base_.config, *form, options_.base);
    // The tables, which are a part of the configuration, stand first.
    const formats::GgufWriter writer(file, entries(*form), std::move(tensors),
                                     formats::gguf_tables(config).size());
    formats::require_same_config(
        formats::config_from_gguf(*formats::GgufFile::open(file)), config,
        options_.base);
    writer.write_tensors();
  }

  void write_adapter() {
    const std::string from = options_.adapter + "/adapter_config.json";
    Json config = parse_json(read_file(from, 1 << 20), from);
    config["base_model_name_or_path"] = base_name(options_, base_);
    write_json_file(path("adapter_config.json"), config, 2);
    copy_if_there(options_.adapter, folder_, "adapter_model.safetensors");
    write_tokenizer();
  }

  const ModelOptions& options_;
  const Delta* const delta_;
  const std::string folder_, name_;
  const BaseModel base_;
  const std::unique_ptr<text::Tokenizer> tokens_;
  std::optional<stages::AdapterPrompt> prompt_;
  std::string file_;  // GGUF
  ModelReport report_;
};

// The adapter's files are those that the run made.
void require_sealed_adapter(const store::Reader& run,
                            const std::string& adapter) {
  store::require_sealed(run);
  const std::map<std::string, std::string> files = run.files();
  const fs::path own =
      fs::path(adapter).lexically_proximate(fs::path(run.folder()));
  for (const fs::path file : list_folder(adapter)) {
    const auto known = files.find((own / file.filename()).string());
    if (known == files.end() || sha256_file(file) == known->second) continue;
    throw Error(ErrorKind::kDamaged,
                str(file.string(),
                    ": this is not the file that the run made; look what "
                    "changed with: selfalign verify ",
                    run.folder()));
  }
}

}  // namespace

NumberType number_type(const std::string& word) {
  if (word.empty()) return std::nullopt;
  std::string all;
  for (const TypeWord& one : kTypes) {
    if (word == one.word) return one.type;
    all += (all.empty() ? "" : ", ") + std::string(one.word);
  }
  throw Error(ErrorKind::kUsage,
              str("--type: expected one of ", all, ", found ", word));
}

ModelReport export_model(const ModelOptions& options, const Delta* delta) {
  if (options.model == kMerged && options.type &&
      formats::block_size(*options.type) > 1) {
    throw Error(ErrorKind::kUsage,
                str("--type ", word_of(*options.type).word,
                    ": an HF folder holds f32, f16 or bf16; use --model gguf"));
  }
  if (options.model == kAdapter && options.adapter.empty()) {
    throw Error(ErrorKind::kUsage,
                "--model adapter: expected a run with an adapter, or "
                "--adapter FOLDER");
  }
  if (options.model == kAdapter && formats::is_tuned_model(options.adapter)) {
    throw Error(ErrorKind::kUsage,
                str(options.adapter,
                    ": all weights were tuned, so there is no adapter; use "
                    "--model merged or gguf"));
  }
  if (options.run != nullptr && !options.adapter.empty()) {
    require_sealed_adapter(*options.run, options.adapter);
  }
  const PartialFolder partial(options.folder);
  const std::string name = fs::path(partial.wanted()).filename();
  ModelReport report = Export(options, delta, partial.path(), name).make();
  partial.publish();
  return report;
}

void write_tuned_model(const ModelOptions& options, const Delta& tuned) {
  // Beside the one that is there, which goes once this is whole.
  std::error_code problem;
  fs::remove_all(options.folder + ".new", problem);  // of a stopped command
  const PartialFolder partial(options.folder + ".new");
  Export(options, &tuned, partial.path(), "").make_plain();
  partial.publish();
  fs::remove_all(options.folder, problem);
  fs::rename(partial.wanted(), options.folder, problem);
  if (!problem) return;
  throw Error(ErrorKind::kResources,
              str("cannot rename ", partial.wanted(), " to ", options.folder,
                  ": ", problem.message(),
                  "; see what is there, then run the same command again"));
}

void check_tuned_model(const ModelOptions& options) {
  Export(options, nullptr, "", "").check_plain();
}

}  // namespace selfalign::exports
