// SPDX-License-Identifier: Apache-2.0
#include "export/model_card.h"

#include <filesystem>
#include <sstream>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "formats/peft.h"
#include "recipe/prompts.h"
#include "recipe/run_files.h"
#include "stages/funnel.h"
#include "stages/principles.h"

namespace selfalign::exports {
namespace {

namespace fs = std::filesystem;

std::string file_name(const std::string& path) {
  fs::path whole = fs::path(path).lexically_normal();
  if (!whole.has_filename()) whole = whole.parent_path();
  return whole.filename();
}

// A text in a fence of its own, whatever it holds.
std::string fenced(const std::string& text, const char* language = "") {
  std::string fence = "```";
  while (text.find(fence) != std::string::npos) fence += '`';
  return str(fence, language, "\n", text, text.ends_with('\n') ? "" : "\n",
             fence, "\n");
}

struct Facts {
  const ModelOptions& options;
  const BaseModel& base;
  const std::optional<stages::AdapterPrompt>& prompt;
  std::string name;  // as commands call the folder
  std::string file;  // GGUF
  std::string base_name;
};

// By an adapter, or as a whole.
bool is_tuned(const Facts& facts) {
  return !facts.options.adapter.empty() ||
         formats::is_tuned_model(facts.options.base);
}

// The method, and not a baseline on given data or a training by itself.
bool is_self_aligned(const Facts& facts) {
  return facts.options.run != nullptr && facts.options.recipe->has("align");
}

void put_header(const Facts& facts, std::ostream& out) {
  const std::string licence = base_licence(facts.base);
  const std::string& form = facts.options.model;
  out << "---\n"
      << "# The base model's own licence, which binds who passes this on.\n"
      << "license: " << (licence.empty() ? "unknown" : dump_json(Json(licence)))
      << "\nbase_model: " << dump_json(Json(facts.base_name))
      << "\nbase_model_relation: "
      << (form == kAdapter  ? "adapter"
          : is_tuned(facts) ? "finetune"
                            : "quantized")
      << "\nlibrary_name: "
      << (form == kAdapter ? "peft"
          : form == kGguf  ? "gguf"
                           : "transformers")
      << "\npipeline_tag: text-generation\nlanguage:\n- en\n"
      << "tags:\n"
      << (is_self_aligned(facts) ? "- self-align\n" : "")
      << "- selfalign\n---\n\n# " << facts.name << "\n";
}

void put_base(const Facts& facts, std::ostream& out) {
  const ModelOptions& options = facts.options;
  out << "\n";
  if (!is_tuned(facts)) {
    out << "The model `" << facts.base_name << "` in another form.\n";
  } else {
    out << "The model `" << facts.base_name << "`, tuned "
        << (is_self_aligned(facts)
                ? "by Self-Align (Sun et al. 2023, \"Principle-Driven "
                  "Self-Alignment of Language Models from Scratch with Minimal "
                  "Human Supervision\")"
                : "on conversations")
        << (options.model == kAdapter ? ": a LoRA adapter for it.\n"
            : options.adapter.empty() ? ".\n"
            : formats::is_tuned_model(options.adapter)
                ? ": all of its weights were trained.\n"
                : ": the LoRA adapter is merged into the weights.\n");
  }
  out << "\n## Base model and licence\n\n`" << facts.base_name << "`";
  if (options.run != nullptr) {
    if (const auto name = options.run->meta("fingerprint.base")) {
      out << " (" << *name << ")";
    }
  }
  const std::string licence = base_licence(facts.base);
  out << (licence.empty()
              ? ". Its files state no licence: look it up before you pass "
                "this on; it binds you.\n"
              : ". It states of itself the licence `" + licence +
                    "`, which binds who passes this on.\n");
}

void put_prompt(const Facts& facts, std::ostream& out) {
  if (!facts.prompt) return;
  const recipe::ChatPrompt& prompt = facts.prompt->prompt;
  out << "\n## How it is asked\n\nUnder the prompt that it was trained with "
         "(form `"
      << facts.prompt->form
      << "`), which the chat template writes. A first message of the system "
         "takes the place of the text before the turns.\n\n"
      << fenced(prompt.prompt + recipe::chat_turn(prompt, "{question}"));
}

void put_principles(const store::Reader& run, std::ostream& out) {
  const recipe::Prompts prompts = recipe::run_prompts(run.folder());
  out << "\n## Principles\n\nDigest of the prompts, which hold them: `"
      << run.meta("prompts.digest").value_or("") << "`.\n\n";
  for (size_t i = 0; i < prompts.principles.size(); ++i) {
    out << i + 1 << ". **" << prompts.principles[i].name
        << "**: " << prompts.principles[i].text << "\n";
  }
}

void put_run(const Facts& facts, std::ostream& out) {
  if (facts.options.run == nullptr) return;
  const store::Reader& run = *facts.options.run;
  if (is_self_aligned(facts)) put_principles(run, out);
  out << "\n## Data\n\n"
      << (is_self_aligned(facts)
              ? "Made by the base model itself, from human seeds and under the "
                "principles; no person checked the answers. Digest"
              : "Conversations that were given. Digest")
      << " of the run: `" << run.run_digest() << "`.\n\n"
      << "| stage | made | kept |\n|---|---|---|\n";
  for (const store::Manifest& manifest : run.manifests()) {
    const stages::Funnel funnel = stages::funnel_of(manifest);
    if (funnel.num_made == 0) continue;
    out << "| " << funnel.stage << " | " << funnel.num_made << " | "
        << funnel.num_kept << " |\n";
  }
  out << "\n## Evaluations\n\n";
  if (facts.options.evaluations.empty()) {
    out << "None were made. `selfalign evaluate` makes them.\n";
  } else {
    out << facts.options.evaluations;
  }
}

std::string transformers_lines(const Facts& facts) {
  const bool is_adapter = facts.options.model == kAdapter;
  const char* model =
      is_adapter ? "AutoPeftModelForCausalLM" : "AutoModelForCausalLM";
  return str(is_adapter ? "from peft import AutoPeftModelForCausalLM\nfrom "
                          "transformers import AutoTokenizer\n"
                        : "from transformers import AutoModelForCausalLM, "
                          "AutoTokenizer\n",
             "\ntokenizer = AutoTokenizer.from_pretrained(\"", facts.name,
             "\")\nmodel = ", model, ".from_pretrained(\"", facts.name,
             "\")\n"
             "ids = tokenizer.apply_chat_template(\n"
             "    [{\"role\": \"user\", \"content\": \"What is a tide?\"}],\n"
             "    add_generation_prompt=True, return_tensors=\"pt\",\n"
             "    return_dict=True)\n"
             "out = model.generate(**ids, max_new_tokens=256)\n"
             "print(tokenizer.decode(out[0, ids[\"input_ids\"].shape[1]:]))\n");
}

// vLLM takes ranks up to 16 unless it is told.
std::string lora_rank(const Facts& facts) {
  constexpr double kDefault = 16.0;
  const auto config = formats::read_adapter_config(facts.options.adapter);
  auto rank = double(config.rank);
  for (const auto& [name, other] : config.rank_pattern) {
    rank = std::max(rank, other);
  }
  return rank > kDefault ? str(" --max-lora-rank ", rank) : std::string();
}

void put_commands(const Facts& facts, std::ostream& out) {
  const std::string& name = facts.name;
  out << "\n## How to run it\n";
  if (facts.options.model == kGguf) {
    out << "\nllama.cpp:\n\n"
        << fenced(str("llama-cli -m ", name, "/", facts.file,
                      " --jinja -cnv\nllama-server -m ", name, "/", facts.file,
                      " --jinja\n"),
                  "sh")
        << "\nollama:\n\n"
        << fenced(str("cd ", name, " && ollama create ", name,
                      " -f Modelfile && ollama run ", name, "\n"),
                  "sh")
        << "\nvLLM and transformers read GGUF files of some architectures; an "
           "HF folder (`--model merged`) is what they are made for.\n";
    return;
  }
  const bool is_adapter = facts.options.model == kAdapter;
  out << "\ntransformers" << (is_adapter ? " with PEFT" : "") << ":\n\n"
      << fenced(transformers_lines(facts), "python") << "\nvLLM:\n\n"
      << fenced(is_adapter
                    ? str("vllm serve ", facts.base_name, " --enable-lora",
                          lora_rank(facts), " --lora-modules ", name, "=", name,
                          " --chat-template ", name, "/chat_template.jinja\n")
                    : str("vllm serve ", name, "\n"),
                "sh")
      << "\nllama.cpp, with its converter:\n\n"
      << fenced(is_adapter ? str("python convert_lora_to_gguf.py ", name, "\n")
                           : str("python convert_hf_to_gguf.py ", name,
                                 " --outfile ", name, ".gguf\nllama-cli -m ",
                                 name, ".gguf --jinja -cnv\n"),
                "sh")
      << "\nollama:\n\n"
      << fenced(str("cd ", name, " && ollama create ", name,
                    " -f Modelfile && ollama run ", name, "\n"),
                "sh");
}

constexpr char kLimits[] = R"(
## Known limits

- What the base model learned, and its licence and biases, carry over.
- Nothing proves that no answer does harm.
- Answers hold errors of fact and of reasoning, and the more of them the smaller
  the base model is.

`manifest.json` has the SHA-256 of every input and of every file here.
)";

// The value of `license:` in the front matter of a Markdown file.
std::string licence_line(const std::string& text) {
  if (!text.starts_with("---\n")) return "";
  std::istringstream lines(text.substr(0, text.find("\n---", 4)));
  for (std::string line; std::getline(lines, line);) {
    constexpr std::string_view kKey = "license:";
    if (!line.starts_with(kKey)) continue;
    const size_t first = line.find_first_not_of(" \"'", kKey.size());
    if (first == std::string::npos) return "";
    const size_t last = line.find_last_not_of(" \"'\r");
    return line.substr(first, last + 1 - first);
  }
  return "";
}

}  // namespace

std::string base_licence(const BaseModel& base) {
  if (base.gguf != nullptr) {
    const auto* value = base.gguf->find("general.license");
    const auto* text =
        value != nullptr ? std::get_if<std::string_view>(value) : nullptr;
    return text != nullptr && text->size() < 200 ? std::string(*text) : "";
  }
  const std::string path = base.path + "/README.md";
  std::error_code ignored;
  if (!fs::is_regular_file(path, ignored)) return "";
  return licence_line(read_file(path));
}

std::string licence_card(const BaseModel& base) {
  const std::string licence = base_licence(base);
  if (licence.empty()) return "";
  return str("---\nlicense: ", dump_json(Json(licence)), "\n---\n");
}

std::string model_card(const ModelOptions& options, const BaseModel& base,
                       const std::optional<stages::AdapterPrompt>& prompt,
                       const std::string& name, const std::string& file) {
  const Facts facts{
      options,
      base,
      prompt,
      name,
      file,
      options.base_name.empty() ? file_name(options.base) : options.base_name};
  std::ostringstream out;
  put_header(facts, out);
  put_base(facts, out);
  put_prompt(facts, out);
  put_run(facts, out);
  put_commands(facts, out);
  out << kLimits;
  return out.str();
}

}  // namespace selfalign::exports
