// SPDX-License-Identifier: Apache-2.0
#include "export/data_card.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <sstream>

#include "base/file.h"
#include "base/folder.h"
#include "base/sha256.h"
#include "recipe/prompts.h"
#include "recipe/recipe_text.h"
#include "recipe/run_files.h"
#include "stages/funnel.h"
#include "stages/principles.h"

namespace selfalign::exports {
namespace {

namespace fs = std::filesystem;

std::string file_name(const std::string& path) {
  return fs::path(path).filename().string();
}

// The recipe without the places of this machine.
recipe::Recipe portable(recipe::Recipe recipe) {
  recipe::change_paths(recipe,
                       [](std::string& path) { path = file_name(path); });
  return recipe;
}

std::string size_category(int64_t num_rows) {
  if (num_rows < 1'000) return "n<1K";
  if (num_rows < 10'000) return "1K<n<10K";
  if (num_rows < 100'000) return "10K<n<100K";
  return num_rows < 1'000'000 ? "100K<n<1M" : "1M<n<10M";
}

void put_header(const ExportContext& context, std::ostream& out) {
  const std::string& name = context.recipe.name;
  out << "---\n"
      << "# State the licence that you give it under; the base model's may "
         "bind you.\n"
      << "license: unknown\n"
      << "language:\n- en\n"
      << "task_categories:\n- text-generation\n"
      << "size_categories:\n- " << size_category(context.report.num_written)
      << "\ntags:\n- synthetic\n- instruction-tuning\n- self-align\n"
      << "pretty_name: " << dump_json(name + ", " + context.report.set)
      << "\nconfigs:\n- config_name: default\n  data_files:\n"
      << "  - split: train\n    path: " << context.data_file << "\n---\n";
}

void put_rows(const ExportContext& context, std::ostream& out) {
  const ExportReport& report = context.report;
  out << "\n# " << context.recipe.name << ", " << report.set << "\n\n"
      << report.num_written << " instructions with answers, made by a language "
      << "model with the method Self-Align (Sun et al. 2023, "
         "\"Principle-Driven Self-Alignment of Language Models from Scratch "
         "with Minimal Human Supervision\"). Form: "
      << context.options.form << ", one row per line of `" << context.data_file
      << "`";
  out << (context.options.form == "parquet"
              ? ".\n\n`ends` is false in rows that the limit of length cut "
                "off: train them\nwithout an end-of-text token. There are "
              : ".\n\nLeft out because the limit of length cut them off: ")
      << report.num_cut_off << ".\n";
}

void put_way(const ExportContext& context, std::ostream& out) {
  out << "\n## How it was made\n\n"
      << "1. The base model wrote the instructions, from human seeds and "
         "adversarial types of question, unless they were given.\n"
      << "2. It answered them under the principles below, thinking first about "
         "which of them apply; thoughts and principles are not in the data.\n";
  if (context.report.set == "verbose") {
    out << "3. Tuned on those answers, it answered all instructions again, at "
           "length. These answers are the data.\n";
  }
  out << "\nBase model: `" << file_name(context.recipe.model.path) << "`";
  if (const auto name = context.store.meta("fingerprint.base")) {
    out << " (" << *name << ")";
  }
  out << ". Run digest: `" << context.store.run_digest() << "`.\n\n"
      << "Made, kept and rejected, by stage:\n\n"
      << "| stage | made | kept | rejected |\n|---|---|---|---|\n";
  for (const store::Manifest& manifest : context.store.manifests()) {
    const stages::Funnel funnel = stages::funnel_of(manifest);
    if (!funnel.filter || manifest.stage.starts_with("held_out.")) continue;
    out << "| " << funnel.stage << " | " << funnel.num_made << " | "
        << funnel.num_kept << " | ";
    const char* separator = "";
    for (const auto& [reason, count] : funnel.rejected) {
      out << separator << count << " " << reason;
      separator = ", ";
    }
    out << " |\n";
  }
}

void put_principles(const ExportContext& context, std::ostream& out) {
  const recipe::Prompts prompts = recipe::run_prompts(context.store.folder());
  const stages::PrincipleUse use =
      stages::principle_use(context.store, prompts);
  out << "\n## Principles\n\nBehind each: kept answers whose thought named "
         "it.\n\n";
  for (size_t i = 0; i < prompts.principles.size(); ++i) {
    out << i + 1 << ". **" << prompts.principles[i].name
        << "**: " << prompts.principles[i].text << " (" << use.num_fired(i).kept
        << ")\n";
  }
}

constexpr char kLimits[] = R"(
## Known limits

- No person checked the answers. They hold errors of fact and of reasoning, and
  the more of them the smaller the base model is.
- The filters find form (garbled, repeated, empty, copied text), not falsehood.
- Which principles were followed is what the model said before it answered.
- The principles steer away from harm; nothing proves that no row does any.
- English only.
- What the base model learned, and its licence and biases, carry over.
)";

// How LLaMA-Factory and axolotl are told where roles and texts are.
struct DialogueNames {
  const char* list;
  const char* role;
  const char* text;
  const char* user;
  const char* assistant;
};
DialogueNames dialogue_names(const std::string& form) {
  if (form == "sharegpt") {
    return {"conversations", "from", "value", "human", "gpt"};
  }
  return {"messages", "role", "content", "user", "assistant"};
}

// Files of a model folder that decide what it writes.
bool is_model_file(const fs::path& path) {
  static constexpr std::array<const char*, 4> kEndings = {
      ".json", ".safetensors", ".model", ".txt"};
  return std::find(kEndings.begin(), kEndings.end(), path.extension()) !=
         kEndings.end();
}

}  // namespace

std::string data_card(const ExportContext& context) {
  std::ostringstream out;
  put_header(context, out);
  put_rows(context, out);
  put_way(context, out);
  put_principles(context, out);
  out << kLimits << "\n## Settings\n\n```yaml\n"
      << recipe::recipe_to_yaml(portable(context.recipe)) << "```\n\n"
      << "`manifest.json` has the SHA-256 of every input and of every file "
         "here.\n";
  return out.str();
}

Json llama_factory_entry(const ExportContext& context) {
  Json entry{{"file_name", context.data_file}};
  const std::string& form = context.options.form;
  if (form == "alpaca") {
    entry["columns"] = {
        {"prompt", "instruction"}, {"query", "input"}, {"response", "output"}};
  } else {
    const DialogueNames names = dialogue_names(form);
    entry["formatting"] = "sharegpt";
    entry["columns"] = {{"messages", names.list}};
    entry["tags"] = {{"role_tag", names.role},
                     {"content_tag", names.text},
                     {"user_tag", names.user},
                     {"assistant_tag", names.assistant}};
  }
  return Json{{context.recipe.name + "-" + context.report.set, entry}};
}

std::string axolotl_stanza(const ExportContext& context) {
  const std::string& form = context.options.form;
  std::ostringstream out;
  out << "# For axolotl's configuration; paths are seen from where it runs.\n"
      << "datasets:\n  - path: " << context.data_file
      << "\n    ds_type: " << (form == "parquet" ? "parquet" : "json")
      << "\n    type: " << (form == "alpaca" ? "alpaca" : "chat_template")
      << "\n";
  if (form != "alpaca") {
    const DialogueNames names = dialogue_names(form);
    out << "    field_messages: " << names.list
        << "\n    message_property_mappings:\n      role: " << names.role
        << "\n      content: " << names.text << "\n    roles:\n      user: ["
        << names.user << "]\n      assistant: [" << names.assistant << "]\n";
  }
  return out.str();
}

HashedFile hashed_file(const std::string& name, const std::string& path) {
  std::error_code problem;
  const auto size = fs::file_size(path, problem);
  if (problem) return {.name = name, .missing = true};
  return {.name = name, .bytes = int64_t(size), .sha256 = sha256_file(path)};
}

void add_model_files(const std::string& path, std::vector<HashedFile>& inputs) {
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) {
    inputs.push_back(hashed_file("model/" + file_name(path), path));
    return;
  }
  for (const fs::path file : list_folder(path)) {
    if (!is_model_file(file)) continue;
    inputs.push_back(hashed_file("model/" + file.filename().string(), file));
  }
}

std::vector<HashedFile> hashed_inputs(const std::string& run) {
  std::vector<HashedFile> files = {
      hashed_file(recipe::kRecipeFile + 1, run + recipe::kRecipeFile)};
  for (const std::string& name : recipe::prompt_files()) {
    files.push_back(
        hashed_file("prompts/" + name, str(run, "/prompts/", name)));
  }
  return files;
}

std::vector<StageDigest> stage_digests(const store::Reader& store) {
  std::vector<StageDigest> stages;
  for (const store::Manifest& manifest : store.manifests()) {
    stages.push_back({manifest.stage, manifest.num_rows, manifest.num_kept,
                      manifest.digest});
  }
  return stages;
}

Json export_manifest(const ExportContext& context) {
  const store::Reader& store = context.store;
  std::vector<HashedFile> inputs = hashed_inputs(store.folder());
  for (const std::string& given :
       {context.recipe.instructions.path, context.recipe.data.path}) {
    if (given.empty()) continue;
    inputs.push_back(hashed_file("given/" + file_name(given), given));
  }
  add_model_files(context.recipe.model.path, inputs);
  return {{"format", "selfalign export 1"},
          {"program", context.options.program},
          {"run",
           {{"name", context.recipe.name},
            {"digest", store.run_digest()},
            {"stages", to_json(stage_digests(store))}}},
          {"dataset",
           {{"set", context.report.set},
            {"form", context.options.form},
            {"rows", context.report.num_written},
            {"cut_off", context.report.num_cut_off}}},
          {"inputs", to_json(inputs)}};
}

}  // namespace selfalign::exports
