// SPDX-License-Identifier: Apache-2.0
#include "local/doctor.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <memory>
#include <set>

#include "base/counted.h"
#include "base/error.h"
#include "base/file.h"
#include "base/free_memory.h"
#include "base/joined.h"
#include "base/json.h"
#include "base/processors.h"
#include "engine/aten_cache.h"
#include "engine/engine_options.h"
#include "engine/kernels.h"
#include "formats/gguf.h"
#include "formats/load_tokenizer.h"
#include "formats/model_path.h"
#include "formats/tensor_source.h"
#include "local/memory_needs.h"
#include "local/tuned_model.h"
#include "model/device.h"
#include "model/load_weights.h"
#include "text/tokenizer.h"

namespace selfalign::local {
namespace {

namespace fs = std::filesystem;
using formats::ModelConfig;
using model::Rounding;

// Principles, exemplars and an answer in stage 2, about.
constexpr int64_t kUsefulContext = 2048;

// "2.08 GiB", "96.3 MiB", "4 KiB": three digits.
std::string size_text(uint64_t bytes) {
  const char* units[] = {"bytes", "KiB", "MiB", "GiB"};
  auto size = double(bytes);
  size_t unit = 0;
  for (; size >= 1000.0 && unit < 3; ++unit) size /= 1024.0;
  const double step = size < 10.0 ? 100.0 : size < 100.0 ? 10.0 : 1.0;
  return str(std::round(size * step) / step, ' ', units[unit]);
}

class Findings {
 public:
  void add(Level level, std::string text) {
    list.push_back({level, std::move(text)});
  }
  // What `look` gives; nothing, and a problem, where it throws bad input.
  template <typename Look>
  auto look(const Look& look) -> std::optional<decltype(look())> {
    try {
      return look();
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kInput &&
          error.kind() != ErrorKind::kUsage) {
        throw;
      }
      add(Level::kProblem, error.what());
    }
    return std::nullopt;
  }
  std::vector<Finding> list;
};

ModelConfig read_config(const std::string& path) {
  if (formats::model_form(path) == formats::ModelForm::kGguf) {
    return formats::config_from_gguf(*formats::GgufFile::open(path));
  }
  return formats::config_of_folder(path);
}

// The text of the template, from GGUF or the files of a folder.
std::string chat_template_of(const std::string& path) {
  if (formats::is_gguf(path)) {
    const auto file = formats::GgufFile::open(path);
    const formats::GgufValue* value = file->find("tokenizer.chat_template");
    const auto* text =
        value != nullptr ? std::get_if<std::string_view>(value) : nullptr;
    return text != nullptr ? std::string(*text) : "";
  }
  constexpr uint64_t kMost = uint64_t{16} << 20;
  const std::string own = path + "/chat_template.jinja";
  if (fs::exists(own)) return read_file(own, kMost);
  const std::string file = path + "/tokenizer_config.json";
  if (!fs::exists(file)) return "";
  const Json json = parse_json(read_file(file, kMost), file);
  const auto found = json.find("chat_template");
  return found != json.end() && found->is_string() ? found->get<std::string>()
                                                   : "";
}

void examine_tokenizer(const text::Tokenizer& words, const ModelConfig& config,
                       const std::string& path, Findings& out) {
  if (words.size() > config.vocab_size) {
    out.add(Level::kProblem,
            str(path, ": the tokenizer has ", words.size(),
                " tokens and the model places for ", config.vocab_size,
                "; use files that belong together"));
  }
  if (words.eos() < 0) {
    out.add(Level::kWarning,
            path +
                ": the tokenizer has no end-of-text token; the model can "
                "generate, and cannot be tuned: no answer would learn to "
                "stop");
    return;
  }
  const std::string ends = joined(words.end_tokens(), ", ", [&](int id) {
    return words.decode_token(id, true);
  });
  out.add(Level::kGood, str("tokenizer: ", words.size(), " tokens; a text ",
                            words.adds_bos() ? "begins with BOS" : "has no BOS",
                            ", answers end at ", ends));
}

void examine_traps(const ModelConfig& config, const std::string& path,
                   Findings& out) {
  for (const std::string& note : config.notes) out.add(Level::kWarning, note);
  if (config.max_positions < kUsefulContext) {
    out.add(Level::kWarning,
            str(path, ": the context is ", config.max_positions,
                " tokens; stage 2 shows the principles and their examples, "
                "some 1,700 tokens with the prompts of this program: take "
                "prompts/small or a model with a longer context"));
  }
  if (config.rope.type == "longrope") {
    out.add(Level::kWarning,
            str(path,
                ": longrope has two tables of factors; max_context up "
                "to ",
                config.rope.original_positions,
                " takes the short ones, a longer one the others, for all "
                "texts"));
  }
  const std::string kind = chat_template_kind(path);
  if (!kind.empty()) {
    out.add(Level::kWarning,
            str(path, ": the model has a chat template (", kind,
                "), so it was tuned to follow instructions already; the "
                "method begins with a base model, and this program feeds its "
                "own prompts in place of the template"));
  }
}

void examine_types(const std::string& path, Findings& out) {
  const auto source =
      formats::model_form(path) == formats::ModelForm::kGguf
          ? formats::open_gguf_tensors(formats::GgufFile::open(path))
          : formats::open_safetensors(path);
  std::set<std::string> types;
  int64_t elements = 0;
  bool in_blocks = false;
  for (const formats::TensorView& tensor : source->tensors()) {
    types.insert(formats::element_type_name(tensor.type));
    elements += tensor.num_elements();
    in_blocks = in_blocks || formats::block_size(tensor.type) > 1;
  }
  out.add(Level::kGood, str("tensors: ", source->tensors().size(), ", of ",
                            elements, " numbers in ", joined(types)));
  if (!in_blocks) return;
  out.add(Level::kWarning,
          path +
              ": the weights were quantised; what is tuned or exported "
              "begins with the rounded values");
}

void examine_memory(const ModelConfig& config, const std::string& path,
                    Findings& out) {
  const auto available = free_memory();
  const at::ScalarType dtype = model::choose_compute("cpu", "auto").dtype;
  const auto verdict = [](bool ok) { return ok ? "" : " (more than is free)"; };
  TuneOptions tune;
  tune.gradient_checkpointing = true;
  for (const Rounding rounding :
       {Rounding::kNone, Rounding::kInt8, Rounding::kInt4}) {
    const MemoryNeeds needs = memory_needs(config, dtype, rounding, tune);
    const uint64_t generation = needs.weights + needs.cache_token * 4096;
    const bool fits = !available || generation < *available;
    const bool trains = !available || needs.training() < *available;
    const std::string how =
        rounding == Rounding::kNone
            ? dtype == at::kFloat ? "in float32" : "in bfloat16"
        : rounding == Rounding::kInt8 ? "with --weights int8"
                                      : "with --weights int4";
    out.add(
        fits && trains ? Level::kGood : Level::kWarning,
        str("memory ", how, ": ", size_text(needs.weights), " of weights and ",
            size_text(needs.cache_token), " for each token that is kept",
            verdict(fits), "; tuning with gradient_checkpointing about ",
            size_text(needs.training()), verdict(trains)));
  }
  const model::Compute compute = model::choose_compute("auto", "auto");
  if (!compute.device.is_cpu()) {
    out.list.push_back(examine_device(config, compute.dtype,
                                      model::free_memory(compute.device)));
  }
  tune.method = "full";
  const MemoryNeeds needs =
      memory_needs(config, at::kBFloat16, Rounding::kNone, tune);
  try {
    check_tuned_model(path, at::kBFloat16);
  } catch (const Error& error) {
    return out.add(Level::kWarning, error.what());
  }
  const bool fits = !available || needs.training() < *available;
  out.add(Level::kGood,
          str("memory to train all weights (method full): about ",
              size_text(needs.training()), verdict(fits),
              "; a checkpoint takes ", size_text(needs.trained), " of disk"));
}

}  // namespace

const char* level_name(Level level) {
  return level == Level::kGood      ? "ok"
         : level == Level::kWarning ? "warning"
                                    : "problem";
}

Finding examine_device(const ModelConfig& config, at::ScalarType dtype,
                       std::optional<uint64_t> available) {
  const int slots = engine::EngineOptions().num_slots;
  constexpr int kTokens = 512;
  const DeviceNeeds needs = device_needs(config, dtype, slots);
  const uint64_t full =
      needs.weights + needs.pass + needs.cache(slots, kTokens);
  const bool is_known = available.has_value();
  const bool begins = !is_known || needs.least() <= *available;
  const bool fits = !is_known || full <= *available;
  return {
      fits ? Level::kGood : Level::kWarning,
      str("memory on the GPU in ", dtype == at::kFloat ? "float32" : "bfloat16",
          ": ", size_text(needs.weights), " of weights, ",
          size_text(needs.pass), " for a pass and ",
          size_text(needs.cache_slab), " for each ", needs.slab_pages,
          " pages of ", engine::kAtenPageKeys, " tokens that rows hold; with ",
          slots, " rows of ", kTokens, " tokens ", size_text(full),
          is_known ? str(", of ", size_text(*available), " free") : "",
          !begins ? "; it does not fit: use --device cpu"
          : fits  ? ""
                  : "; take fewer slots or shorter texts")};
}

std::vector<Finding> examine_machine(const std::string& folder) {
  Findings out;
  const std::string kernels = engine::kernels().name;
  const int cores = available_cores();
  const size_t nodes = processor_nodes().size();
  out.add(
      kernels == "generic" ? Level::kWarning : Level::kGood,
      str("processor: ", counted(int64_t(cores), "core"),
          nodes > 1 ? str(" on ", nodes, " NUMA nodes, an engine on each") : "",
          ", kernels ", kernels,
          kernels == "generic" ? "; without AVX2 generation is slow" : ""));
  const model::Compute compute = model::choose_compute("auto", "auto");
  out.add(Level::kGood, "computes by default on " + model::describe(compute));
  if (!compute.device.is_cpu()) {
    const auto available = model::free_memory(compute.device);
    out.add(Level::kGood,
            str("memory of the GPU: ",
                available ? size_text(*available) + " free" : "not told"));
  }
  if (const auto available = free_memory()) {
    out.add(*available < (uint64_t{2} << 30) ? Level::kWarning : Level::kGood,
            str("memory: ", size_text(*available), " free"));
  }
  std::error_code problem;
  const fs::space_info disk = fs::space(folder, problem);
  if (problem) {
    out.add(Level::kProblem, str(folder, ": ", problem.message(),
                                 "; name a folder that is there"));
  } else {
    const bool is_little = disk.available < (uint64_t{1} << 30);
    out.add(is_little ? Level::kWarning : Level::kGood,
            str("disk: ", size_text(disk.available), " free at ", folder,
                is_little ? "; a run may need more" : ""));
  }
  return std::move(out.list);
}

ModelExam examine_model(const std::string& path) {
  Findings out;
  ModelExam exam;
  exam.config = out.look([&] { return read_config(path); });
  out.look([&] {
    examine_types(path, out);
    return true;
  });
  const auto words = out.look([&] {
    return std::shared_ptr<const text::Tokenizer>(
        formats::load_tokenizer(path));
  });
  if (exam.config) {
    out.add(Level::kGood,
            str("family: ", exam.config->family, ", ", exam.config->num_layers,
                " layers of ", exam.config->hidden_size, ", context ",
                exam.config->max_positions));
    const auto checked = out.look(
        [&] { return model::check_weights(path, at::kMeta, at::kBFloat16); });
    if (checked) out.add(Level::kGood, "weights: every tensor has its place");
    if (words) examine_tokenizer(**words, *exam.config, path, out);
    out.look([&] {
      examine_traps(*exam.config, path, out);
      return true;
    });
    examine_memory(*exam.config, path, out);
  }
  // Each reader of a broken file says the same.
  for (const Finding& finding : out.list) {
    const auto is_same = [&](const Finding& other) {
      return other.text == finding.text;
    };
    if (std::none_of(exam.findings.begin(), exam.findings.end(), is_same)) {
      exam.findings.push_back(finding);
    }
  }
  return exam;
}

std::string chat_template_kind(const std::string& path) {
  const std::string text = chat_template_of(path);
  if (text.empty()) return "";
  constexpr struct {
    const char *mark, *name;
  } kKinds[] = {
      {"<|im_start|>", "ChatML"},      {"<|start_header_id|>", "LLaMA 3"},
      {"<start_of_turn>", "Gemma"},    {"<<SYS>>", "LLaMA 2"},
      {"[INST]", "Mistral"},           {"<|assistant|>", "Zephyr or Phi-3"},
      {"<|start_of_role|>", "Granite"}};
  for (const auto& kind : kKinds) {
    if (text.find(kind.mark) != std::string::npos) return kind.name;
  }
  return "of its own";
}

}  // namespace selfalign::local
