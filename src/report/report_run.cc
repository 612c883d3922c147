// SPDX-License-Identifier: Apache-2.0
#include "report/report_run.h"

#include <algorithm>
#include <filesystem>
#include <map>

#include "base/error.h"
#include "base/file.h"
#include "base/json_parse.h"
#include "base/own_file.h"
#include "export/data_card.h"
#include "inspect/browse.h"
#include "parse/rules.h"
#include "recipe/run_files.h"
#include "stages/funnel.h"
#include "stages/principles.h"
#include "stages/row_reading.h"
#include "text/words.h"

namespace selfalign::report {
namespace {

using store::Reader;
using store::Row;
using store::SeenRow;

constexpr size_t kNumKept = 4;      // samples shown
constexpr size_t kNumRejected = 4;  // reasons with a sample
constexpr size_t kNumExamples = 3;  // of a reason of rejection

Json rules_json(const recipe::Prompts& prompts, const std::string& thought) {
  Json rules = Json::array();
  const std::vector<std::string> names = principle_names(prompts);
  for (const int rule : parse::find_rules(thought, names).rules) {
    const recipe::Principle& principle = prompts.principles[size_t(rule - 1)];
    rules.push_back(
        {{"number", rule}, {"name", principle.name}, {"text", principle.text}});
  }
  return rules;
}

// What stage 4 wrote for the instruction; "" if it did not.
std::string verbose_answer(const Reader& store, uint64_t instruction) {
  for (const Row& child : store.children(instruction)) {
    if (child.stage != "verbose.answers") continue;
    if (const auto stored = store.completion(child.key)) {
      return parse::trim(stored->completion.text);
    }
  }
  return "";
}

Json sample_json(const recipe::Prompts& prompts, const Reader& store,
                 const SeenRow& seen) {
  const Row& row = seen.row;
  Json sample{{"row", str(row.stage, ":", row.seq)},
              {"kept", seen.verdict && seen.verdict->kept},
              {"reason", seen.verdict ? seen.verdict->reason : ""},
              {"detail", seen.verdict ? seen.verdict->detail : ""},
              {"instruction",
               json_string_or(row.content, "instruction", row.stage, "")}};
  const auto whole = store.row(row.key);
  if (whole && !whole->parents.empty()) {
    if (const auto parent = store.row(whole->parents[0])) {
      sample["type"] = stages::question_type(*parent);
      sample["topic"] =
          json_string_or(parent->content, "topic", parent->stage, "");
      sample["verbose"] = verbose_answer(store, parent->key);
    }
  }
  if (!seen.completion) return sample;
  const generate::Completion& completion = seen.completion->completion;
  const parse::ThoughtfulAnswer read =
      stages::answer_of(prompts, row.stage, completion.text);
  sample["thought"] = read.thought;
  sample["rules"] = rules_json(prompts, read.thought);
  sample["answer"] = read.answer;
  sample["raw"] = completion.text;
  sample["tokens"] = completion.num_tokens;
  sample["finish"] = generate::finish_name(completion.finish);
  return sample;
}

// What a row says, for a list of rejected ones.
std::string text_of(const SeenRow& seen) {
  for (const char* name : {"instruction", "topic", "response", "user"}) {
    const std::string text =
        json_string_or(seen.row.content, name, seen.row.stage, "");
    if (!text.empty() && !(seen.completion && *name == 'i')) return text;
  }
  return seen.completion ? parse::trim(seen.completion->completion.text) : "";
}

Json examples_of(const Reader& store, const std::string& stage,
                 const std::string& filter) {
  std::map<std::string, Json> examples;
  store.scan(stage, filter, [&](const SeenRow& seen) {
    if (!seen.verdict || seen.verdict->kept) return true;
    Json& list = examples[seen.verdict->reason];
    if (list.size() < kNumExamples) {
      list.push_back({{"row", str(stage, ":", seen.row.seq)},
                      {"text", text_of(seen)},
                      {"detail", seen.verdict->detail}});
    }
    return true;
  });
  Json reasons = Json::array();
  for (const auto& [reason, count] : store.rejections(stage, filter)) {
    reasons.push_back(
        {{"reason", reason}, {"count", count}, {"examples", examples[reason]}});
  }
  return reasons;
}

Json curve_of(const Reader& store, const std::string& name) {
  require_own_path(store.folder(), name);
  const std::string path = store.folder() + "/" + name;
  Json points = Json::array();
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored)) return points;
  const std::string text = read_file(path);
  for (const std::string_view line : text::split_lines(text)) {
    JsonProblem problem;
    const Json point = try_parse_json(line, problem).value_or(Json());
    if (!point.is_object() || !point.contains("step")) break;
    Json kept = Json::object();
    for (const char* name : {"step", "loss", "learning_rate"}) {
      const auto found = point.find(name);
      if (found != point.end() && found->is_number()) kept[name] = *found;
    }
    points.push_back(kept);
  }
  return points;
}

Json adapters_json(const Reader& store) {
  Json adapters = Json::array();
  for (const store::Manifest& manifest : store.manifests()) {
    if (!manifest.stage.ends_with(".adapter")) continue;
    Json adapter{{"name", json_string_or(manifest.report, "folder",
                                         manifest.stage, manifest.stage)}};
    for (const char* name : {"inputs", "files"}) {
      if (manifest.report.contains(name)) adapter[name] = manifest.report[name];
    }
    adapters.push_back(adapter);
  }
  return adapters;
}

Json commands_of(const std::string& name) {
  return Json::array(
      {str("selfalign verify ", name, "    # nothing lost, nothing twice"),
       str("selfalign run ", name, recipe::kRecipeFile,
           " --run-folder again    # the same digest on the same machine"),
       str("selfalign show ", name, " align.answers:0    # one row's way"),
       str("selfalign evaluate ", name, " --data FOLDER    # the figures"),
       str("selfalign report ", name, "    # this report")});
}

}  // namespace

std::string base_model_note(const std::string& model_path) {
  const std::string name =
      std::filesystem::path(model_path).filename().string();
  const std::string lower = text::to_lower(name);
  std::string note = str("Base model: ", name, ". ");
  if (lower.find("instruct") != std::string::npos ||
      lower.find("chat") != std::string::npos) {
    note +=
        "It is not a pure base model: by its name it was tuned on instructions "
        "before. Here it is used as a plain text completer, without its chat "
        "template, and figures of the base and of the gain over it are to be "
        "read with that in mind. ";
  }
  return note +
         "All texts below are as the models wrote them, wrong ones included; "
         "the filters look at form, nobody checked facts.";
}

Json sample_rows(const recipe::Recipe& recipe, const recipe::Prompts& prompts,
                 const Reader& store) {
  Json samples = Json::array();
  if (store.num_rows("align.answers") == 0) return samples;
  inspect::SampleOptions options{.profile = recipe.profile, .kept = true};
  options.count = kNumKept;
  for (const SeenRow& row : inspect::sample_run(store, options).rows) {
    samples.push_back(sample_json(prompts, store, row));
  }
  const std::string filter =
      stages::filter_of(store, options.stage, recipe.profile);
  size_t num_reasons = 0;
  for (const auto& [reason, count] : store.rejections(options.stage, filter)) {
    if (++num_reasons > kNumRejected) break;
    options.kept = false;
    options.reason = reason;
    options.count = 1;
    for (const SeenRow& row : inspect::sample_run(store, options).rows) {
      samples.push_back(sample_json(prompts, store, row));
    }
  }
  return samples;
}

Json rejected_examples(const Reader& store) {
  Json all = Json::object();
  for (const store::Manifest& manifest : store.manifests()) {
    const std::string filter =
        json_string_or(manifest.report, "filter", manifest.stage, "");
    if (filter.empty() || manifest.stage.starts_with("held_out.")) continue;
    const Json reasons = examples_of(store, manifest.stage, filter);
    if (!reasons.empty()) all[manifest.stage] = reasons;
  }
  return all;
}

Json training_curves(const Reader& store) {
  Json curves = Json::object();
  for (const store::Manifest& manifest : store.manifests()) {
    const std::string folder =
        json_string_or(manifest.report, "folder", manifest.stage, "");
    if (!manifest.stage.ends_with(".adapter") || folder.empty()) continue;
    const Json points = curve_of(store, folder + "/metrics.jsonl");
    if (!points.empty()) curves[folder] = points;
  }
  return curves;
}

Json provenance(const Reader& store) {
  const std::string recipe = store.folder() + recipe::kRecipeFile;
  Json files = Json::array(
      {exports::hashed_file(std::string(recipe::kRecipeFile + 1), recipe)});
  for (const std::string& name : recipe::prompt_files()) {
    files.push_back(exports::hashed_file("prompts/" + name,
                                         store.folder() + "/prompts/" + name));
  }
  Json models = Json::array();
  for (const char* name : {"base", "engraved", "verbose", "tuned"}) {
    if (const auto found = store.meta(str("fingerprint.", name))) {
      models.push_back({{"name", name}, {"fingerprint", *found}});
    }
  }
  Json stages_json = Json::array();
  for (const store::Manifest& manifest : store.manifests()) {
    stages_json.push_back({{"stage", manifest.stage},
                           {"rows", manifest.num_rows},
                           {"kept", manifest.num_kept},
                           {"digest", manifest.digest}});
  }
  const std::string name =
      std::filesystem::path(store.folder()).filename().string();
  return {{"program", str("selfalign ", SELFALIGN_VERSION)},
          {"recipe", read_file(recipe)},
          {"prompts_digest", store.meta("prompts.digest").value_or("")},
          {"digest", store.run_digest()},
          {"stages", stages_json},
          {"models", models},
          {"adapters", adapters_json(store)},
          {"files", files},
          {"commands", commands_of(name)}};
}

}  // namespace selfalign::report
